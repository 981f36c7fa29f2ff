"""What code each stage of the pipeline runs: one file a stage, which dvc.yaml watches as the stage's parameters."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unblur.pipeline.sources import PACKAGE, Sources
from unblur.safety.owned import owned_folder

# Each stage of dvc.yaml, and the sections of the configuration whose classes it builds. Whoever loads a trained network
# runs the code of `model`, which no import names.
STAGES = {
    "check_data": ("data",),
    "prepare": ("blur", "data"),
    "train": ("augment", "blur", "callbacks", "data", "logger", "loss", "model", "optimizer", "scheduler", "trainer"),
    "evaluate": ("model",),
    "prune": ("augment", "blur", "callbacks", "data", "loss", "model", "optimizer", "scheduler", "trainer"),
    "quantize": ("augment", "blur", "callbacks", "data", "loss", "model", "optimizer", "scheduler", "trainer"),
    "export": ("model",),
    "benchmark": ("model",),
    "explain": ("blur", "model"),
    "report": (),
}

# Of the source of the pairs, a stage calls the method that stands here; the others train, and call `crops`.
CALLS = {"check_data": "check", "prepare": "pairs"}
METHODS = {"check", "pairs", "crops"}
SOURCES = "ingest/sources/"

# What decides no figure and no file of a stage.
WITHOUT = {
    "__init__.py": "the version's number",
    "errors.py": "the words of errors",
    "config/failures.py": "the words of errors",
    "config/extras.py": "the words of errors",
    "config/suggest.py": "the words of errors",
    "config/presets.py": "the words of what comes next",
    "console.py": "what is shown",
    "config/entry.py": "how commands start and end",
    "config/compose.py": "what it decides stands in the composed configuration, whose keys the stages name",
    "config/schema.py": "what it decides stands in the composed configuration, whose keys the stages name",
}


def code_of_stages(config: Mapping[str, Any], sources: Sources | None = None) -> dict[str, dict[str, str]]:
    """Return for each stage the files of the package that it can reach, each with its fingerprint.

    They are those that the stage's own module imports, directly or not, and those that the classes of its sections of
    the configuration import. Of the source of the pairs only the method counts that the stage calls.

    Args:
        config: the composed configuration, as plain dictionaries and lists.
        sources: the files of the package.
    """
    sources = sources or Sources()
    found = {}
    for stage, sections in STAGES.items():
        classes = (name for section in sections for name in _targets(config.get(section)))
        starts = [f"stages/{stage}.py", *filter(None, (_file_of_class(sources, name) for name in classes))]
        uncalled = METHODS - {CALLS.get(stage, "crops")}
        without_calls = {file: uncalled for file in sources.files if file.startswith(SOURCES)}
        reached = sources.reached(starts, WITHOUT, without_calls)
        found[stage] = {file: sources.fingerprint(file) for file in sorted(reached)}
    return found


def write_code(code: Mapping[str, Mapping[str, str]], folder: Path, overwrite: bool = False) -> None:
    """Write STAGE.json for each stage into a folder of its own: files of the package and their fingerprints."""
    with owned_folder(folder, "compose", {}, overwrite=overwrite) as new:
        for stage, files in code.items():
            (new / f"{stage}.json").write_text(json.dumps(files, indent=1) + "\n", encoding="utf-8")


def _file_of_class(sources: Sources, path: str) -> str | None:
    """Return the file of the module that holds the class at a dotted path, or None for a class of others."""
    while path.startswith(f"{PACKAGE}."):
        path = path.rpartition(".")[0]
        if file := sources.file_of(path):
            return file
    return None


def _targets(node: object) -> Iterator[str]:
    """Yield the value of each `_target_` in a section of the configuration."""
    if isinstance(node, Mapping):
        if isinstance(target := node.get("_target_"), str):
            yield target
        for inner in node.values():
            yield from _targets(inner)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _targets(inner)
