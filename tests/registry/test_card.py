"""The generated model card."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from unblur.errors import UnblurError
from unblur.records.parity import Parity
from unblur.records.training import Training
from unblur.registry.card import CardFacts, collect_facts, describe, is_card, render, write_card
from unblur.registry.lineage import Lineage

LINEAGE = Lineage("a" * 40, "true", "abc.dir", "c" * 64, "d" * 64, "pruned_int8", "e" * 64, "f" * 64)


def facts(project: Any) -> CardFacts:
    training = Training(seed=3, steps=500, seconds=90.0)
    return collect_facts(project.cfg, project.root, training, LINEAGE, Parity(2e-6, "", True, 3))


def test_every_figure_stands_in_the_card_with_its_split_and_data(project: Any) -> None:
    card = write_card(facts(project), project.root / "out").read_text()
    for line in (
        "NAFNet with 1,234,567 parameters",
        "Mean over the 6 pairs of the split test (whole images, data abc.dir)",
        "| method | psnr/literature | ssim/matlab3d |",
        "| blurred | 25.30 | 0.7500 |",
        "| unsharp | 24.90 | 0.7400 |",
        "| model | 26.80 | 0.8100 |",
        "| kind: shake | 2 | 25.00 | 27.00 | +2.00 | 2 |",
        "| onnxruntime | 1280x720 | 2 | 1010 ms | 700 MB | 6.4 MB |",
        "nearly sharp change by -0.11 dB",
        "at most 2.0e-06 over 3 sizes",
        "| CC0 | 1 | 1 | 1 |",
        "| BSD | 1 | 0 | 0 |",
        "(2 for training, 1 for validation, 1 for test)",
        f"| commit of the training | {'a' * 40} (with uncommitted changes) |",
        f"| ONNX file (SHA-256) | {'d' * 64} |",
        "| training time | 1.5 min |",
        'mlflow.pyfunc.load_model("models:/unblur@champion")',
    ):
        assert line in card


def test_tables_are_not_torn_apart(project: Any) -> None:
    lines = render(facts(project)).splitlines()
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith("|---"):
            assert before.count("|") == line.count("|") == after.count("|")
    assert "\n\n\n" not in render(facts(project))


@pytest.mark.parametrize("task", ["image", "burst", "video"])
@pytest.mark.parametrize("lacking", ["nothing", "metrics", "latency", "sources", "nearly_sharp", "everything"])
def test_headings_tables_and_lists_stand_between_blank_lines(project: Any, task: str, lacking: str) -> None:
    """Without them many readers of Markdown take them for the paragraph before."""
    found = replace(facts(project), task=task)
    less: dict[str, Any] = {"metrics": None, "latency": [], "sources": [], "dataset": None}
    if lacking == "everything":
        found = replace(found, **less)
    elif lacking in less:
        found = replace(found, **{lacking: less[lacking]})
    elif lacking == "nearly_sharp":
        found = replace(found, metrics=replace(found.metrics, nearly_sharp_change=None))
    front, _, body = render(found).partition("\n---\n")
    assert front.startswith("---\n")
    lines = [*body.splitlines(), ""]
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith("#"):
            assert (before, after) == ("", ""), line
        for mark in ("|", "- "):
            if line.startswith(mark):
                assert before == "" or before.startswith(mark), line
        if line.startswith("|"):
            assert after == "" or after.startswith("|"), after  # a line behind a table would be a row of it
    assert "\n\n\n" not in render(found)


def test_a_strangers_card_is_told_from_ours(project: Any) -> None:
    assert is_card(write_card(facts(project), project.root / "out"))
    assert not is_card(project.write("own/MODEL_CARD.md", "# My model\n"))
    assert not is_card(project.root / "own" / "none.md")


def test_what_is_missing_is_said(project: Any) -> None:
    for name in ("artifacts/evaluate/metrics.json", "artifacts/benchmark/latency.csv", "data/SOURCES.json"):
        (project.root / name).unlink()
    (project.root / "artifacts/benchmark/complexity.json").unlink()
    found = facts(project)
    card = render(found)
    assert "was not evaluated" in card
    assert "was not at hand" in card
    assert "Speed" not in card
    assert "\n\n\n" not in card
    assert describe(found) == "NAFNet. Not evaluated. See MODEL_CARD.md in the run."


def test_a_broken_file_is_an_error(project: Any) -> None:
    project.write("artifacts/evaluate/metrics.json", "{")
    with pytest.raises(UnblurError, match=r"metrics\.json: is not a JSON file"):
        facts(project)


def test_a_model_of_fewer_bits_tells_what_it_loses(project: Any) -> None:
    found = replace(facts(project), parity=Parity(0.0123, "dB", True, 1))
    card = render(found)
    assert "The ONNX file loses +0.012 dB against its PyTorch network on the validation pairs." in card
    assert "| this model | pruned_int8 |" in card


def of_task(project: Any, task: str, kinds: tuple[str, ...] = ("shake", "identity")) -> str:
    project.cfg.data.task = task
    path = project.root / "artifacts/evaluate/metrics.json"
    metrics = json.loads(path.read_text())
    (figures,) = metrics["strata"]["kind"].values()
    metrics["strata"]["kind"] = dict.fromkeys(kinds, figures)
    path.write_text(json.dumps(metrics))
    card = render(facts(project))
    assert "\n\n\n" not in card
    return card


@pytest.mark.parametrize(
    ("task", "says", "never"),
    [
        (
            "image",
            ["take blur out of photographs", "no video, no burst", "restore blurred.jpg restored.png", "(1, 3, 64"],
            [],
        ),
        (
            "burst",
            [
                "out of bursts of photographs",
                "(batch, shots, 3, height, width)",
                "--burst SHOTS/ restored.png",
                "(1, 4, 3,",
            ],
            ["no burst", "blurred.jpg"],
        ),
        (
            "video",
            [
                "take blur out of videos",
                "`hidden`, `features`, `frames`",
                "restore blurred.mp4 restored.mp4",
                "(1, 8, 3,",
            ],
            ["no video", "blurred.jpg", "model.predict"],
        ),
    ],
)
def test_the_card_is_true_for_the_task(project: Any, task: str, says: list[str], never: list[str]) -> None:
    card = of_task(project, task)
    assert [text for text in says if text not in card] == []
    assert [text for text in never if text in card] == []


def test_the_card_names_the_blur_that_was_tested_and_no_other(project: Any) -> None:
    card = of_task(project, "image", kinds=("identity", "coma", "spherical"))
    assert "(kinds: coma, spherical)" in card
    assert "shake" not in card
    assert "defocus" not in card
    assert "synthesized from sharp photographs" in card


def test_imported_pairs_are_not_called_synthesized_and_have_no_list_of_photographs(project: Any) -> None:
    project.cfg.data.name, project.cfg.data.source = "gopro", {"manifest": "data/imported/gopro.csv"}
    card = of_task(project, "image", kinds=("gopro",))
    assert "trained and tested on pairs of gopro" in card
    assert "gopro, imported; its licence stands on the dataset's page" in card
    assert "synthesized" not in card
    assert "SOURCES.json" not in card


def test_photographs_with_authors_are_credited_and_share_alike_is_said(project: Any) -> None:
    path = project.root / "data/SOURCES.json"
    listed = json.loads(path.read_text())
    author = {"author": "A. Person", "address": "https://example.org/a", "licence": "CC-BY-SA-4.0"}
    path.write_text(json.dumps([listed[0] | author, *listed[1:]]))
    card = render(facts(project))
    assert "| CC-BY-SA-4.0 | " in card
    assert f"1 of the {len(facts(project).sources)} are under share-alike licences" in card
    assert f"- A. Person (CC-BY-SA-4.0): [{listed[0]['file'].rpartition('/')[2]}](https://example.org/a)" in card
    assert "\n\n\n" not in card
    path.write_text(json.dumps(listed))
    assert "Credits" not in render(facts(project))
    assert "share-alike" not in render(facts(project))


def test_the_front_matter_is_what_the_hub_reads(project: Any) -> None:
    path = write_card(facts(project), project.root / "out")
    head = path.read_text().split("---\n")
    about = yaml.safe_load(head[1])
    assert head[0] == ""
    assert (about["license"], about["license_name"]) == ("other", "not written down")
    assert (about["library_name"], about["pipeline_tag"]) == ("onnx", "image-to-image")
    (result,) = about["model-index"][0]["results"]
    assert {each["name"]: each["value"] for each in result["metrics"]} == {
        "psnr/literature": 26.8,
        "ssim/matlab3d": 0.81,
    }
    assert about["metrics"] == ["psnr", "ssim"]
    assert is_card(path)
    licensed = replace(facts(project), lineage=replace(LINEAGE, init_licence="Apache-2.0"))
    assert yaml.safe_load(render(licensed).split("---\n")[1])["license"] == "apache-2.0"
    path.write_text("---\nlicense: mit\n---\n# Mine\n")
    assert not is_card(path)
