import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from unblur.errors import UnblurError
from unblur.records.explanation import COVERAGE, FIDELITY, SUMMARY, Coverage, ExplainSummary, Filters, PairFidelity
from unblur.records.files import write_json, write_table
from unblur.records.scores import read_scores
from unblur.reporting.artifacts import read_artifacts
from unblur.reporting.report import render_report, write_report

VOID = {"meta", "link", "img", "source", "br", "hr", "input"}


class Page(HTMLParser):
    """What a browser would see: images, addresses, the cells of each table row, the text; it insists on balance."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.ids, self.rows, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "tr":
            self.rows.append((attributes, []))
        if tag in {"td", "th"} and "tr" in self.open:
            self.rows[-1][1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][1][-1] += data

    def named(self, *tags):
        return [attributes for tag, attributes in self.tags if tag in tags]


@pytest.fixture(scope="module")
def html(write_artifacts, tmp_path_factory):
    return render_report(read_artifacts(write_artifacts(tmp_path_factory.mktemp("artifacts"))))


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_nothing_is_loaded_from_elsewhere(html, page):
    assert not re.search(r"https?:|//[a-z]", re.sub(r"base64,[\w+/=]+", "", html))
    assert not page.named("script", "iframe", "object", "embed")
    assert not [name for attributes in page.named("img", "a", "p", "body") for name in attributes if name[:2] == "on"]
    for attributes in page.named("a"):
        assert attributes["href"].removeprefix("#") in page.ids
    assert [attributes["href"] for attributes in page.named("link")] == ["data:,"]
    assert "url(" not in html
    assert "@import" not in html


def test_every_image_is_embedded_and_described(page):
    images = page.named("img")
    assert len(images) == 6  # four plots, two panels
    for attributes in images:
        assert len(attributes["alt"]) > 30
        picture = decode(attributes["src"])
        assert (picture.width, picture.height) == (int(attributes["width"]), int(attributes["height"]))
    dark = page.named("source")
    assert [attributes["media"] for attributes in dark] == ["(prefers-color-scheme: dark)"] * 4
    sizes = [decode(attributes["srcset"]).size for attributes in dark]
    assert sorted(sizes) == [(960, 540)] * 3 + [(960, 660)]


def decode(address):
    head, data = address.split(",", 1)
    assert head == "data:image/webp;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    picture.load()
    return picture


def test_methods_are_those_of_the_csv(page, artifacts_paths, tmp_path):
    scores = read_scores(tmp_path / "evaluate" / "per_image.csv")
    rows = {attributes["data-method"]: cells for attributes, cells in page.rows if "data-method" in attributes}
    assert list(rows) == ["blurred", "wiener", "model"]
    for method, cells in rows.items():
        for index, (profile, digits) in enumerate((("psnr/literature", 2), ("ssim/matlab3d", 4))):
            values = [score.value for score in scores if (score.method, score.profile) == (method, profile)]
            assert cells[1 + index] == f"{sum(values) / 6:.{digits}f}"
    none = "\N{EN DASH}"
    assert rows["blurred"][3:] == [none] * 4
    assert rows["wiener"][3:] == ["-2.50", "0 of 6", none, "0.25 s"]
    assert rows["model"][3:] == ["+1.29", "5 of 6", "2.25 MB", "1.50 s"]


def test_strata_are_those_of_the_csv(page):
    rows = {attributes["data-stratum"]: cells[1:5] for attributes, cells in page.rows if "data-stratum" in attributes}
    assert rows["strength/nearly sharp"] == ["35.00", "36.50", "+1.50", "2 of 2"]
    assert rows["strength/8 to 14 px"] == ["29.00", "30.38", "+1.38", "1 of 2"]
    assert rows["kind/shake"] == ["29.33", "29.92", "+0.58", "2 of 3"]
    assert len(rows) == 7


def test_parity_latency_and_data_are_told(page):
    cells = [row for _, row in page.rows]
    assert ["trained", "onnx", "2x33x47", "1.5e-06", "0.0001", "passed"] in cells
    assert ["trained", "pt2", "1x17x9", "5.0e-01", "0.0001", "failed"] in cells
    assert ["trained_int8", "onnx", "12 pairs", "+0.012 dB", "0.05 dB", "passed"] in cells
    speed = [
        "trained (deployed)",
        "onnxruntime",
        "1280 x 720",
        "2",
        "450.5 ms",
        "4.0 ms",
        "80 ms",
        "470.0 ms",
        "400 MB",
        "2.25 MB",
    ]
    assert [*speed, "31.50 dB", "0.9100", "0.002", "+0.001 dB"] in cells
    assert ["warning", "grey", "photos/<b>.png", "mode L"] in cells  # escaped: it is text, not a tag
    text = " ".join("".join(page.text).split())
    assert "0.51 million parameters, 1.70 billion multiply-accumulates" in text
    assert "34 photographs (4 test, 30 train), 3 other files; 0 errors and 1 warnings." in text


def test_the_run_is_identified(page):
    text = " ".join("".join(page.text).split())
    for told in ("2001-02-03", "f" * 40, "d" * 32 + ".dir", "c" * 64, "a" * 64, "git checkout " + "f" * 40):
        assert told in text
    assert "uncommitted" not in text


def test_an_unclean_commit_is_told(artifacts_paths, tmp_path):
    path = tmp_path / "train" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"git_dirty": "true"}))
    text = "".join(Page(render_report(read_artifacts(artifacts_paths))).text)
    assert "with uncommitted changes" in text
    assert "may not come out the same" in text


def test_panels_come_best_first(page):
    alts = [attributes["alt"] for attributes in page.named("img") if attributes["alt"].startswith("pair_")]
    assert alts[0].startswith("pair_4, defocus, 14.0 px")
    assert "psnr/literature 28.00 to 31.00 dB, a gain of +3.00" in alts[0]
    assert alts[1].startswith("pair_3, shake, 8.0 px")


def test_without_curve_and_panels_the_page_still_stands(artifacts_paths, tmp_path):
    (tmp_path / "train" / "history.csv").unlink()
    for panel in (tmp_path / "evaluate" / "panels").iterdir():
        panel.unlink()
    page = Page(render_report(read_artifacts(artifacts_paths)))
    assert len(page.named("img")) == 3
    assert "training" not in page.ids
    assert "evaluate.panels is 0" in "".join(page.text)


def test_the_same_artifacts_give_the_same_bytes(artifacts_paths, tmp_path, html):
    write_report(tmp_path / "out" / "report.html", read_artifacts(artifacts_paths))
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == html


@pytest.fixture
def explained(artifacts_paths):
    """The same files, and what `unblur explain-pairs` writes."""
    folder = Path(artifacts_paths.explain)
    coverage = [Coverage("all", 6, 3, 0.9, 0.8876, 0.81, 0.96), Coverage("nearly sharp", 2, 1, 0.9, 0.961, 0.0, 1.0)]
    write_table(folder / COVERAGE, Coverage, coverage)
    tests = (0.5, 0.4, 0.6, 0.45, 0.4, 0.5)
    rows = [
        PairFidelity("lam", *tests, 0.02, 0.91, 0.8, 0.05, "", "p<1>", "nearly sharp"),
        PairFidelity("lime", *tests, None, 0.3, 0.8, 0.7, "disagrees with intervention", "p2", "2 to 8 px"),
    ]
    write_table(folder / FIDELITY, PairFidelity, rows)
    filters = Filters(6899, 69, 0.47, 0.03, 0.41, 0.2, 0.0, "first")
    write_json(folder / SUMMARY, ExplainSummary("a" * 64, 6, 0.781, None, 4.3, 4.5, filters, ("p1",)))
    return artifacts_paths


def test_explanations_are_a_section_where_they_were_made(explained, html):
    page = Page(render_report(read_artifacts(explained)))
    assert 'id="explain"' not in html
    assert "explain" in page.ids
    rows = [cells for _, cells in page.rows]
    assert ["all", "6", "3", "90%", "88.8%", "81% to 96%"] in rows
    assert ["lam", "p<1>", "+0.500", "+0.450", "0.91", "0.05", "passed"] in rows
    assert ["lime", "p2", "+0.500", "+0.450", "0.30", "0.70", "failed: disagrees with intervention"] in rows
    text = " ".join(page.text)
    assert "gain without 69 of 6899 filters that deblur, dB" in text
    assert "by correction, rank correlation" not in text  # None: it could not be told


def test_explanations_of_another_model_are_refused(explained):
    path = Path(explained.explain) / SUMMARY
    path.write_text(path.read_text().replace("a" * 64, "b" * 64))
    with pytest.raises(UnblurError, match=r"explains another model than .*run\.json; run `unblur explain-pairs` again"):
        read_artifacts(explained)
