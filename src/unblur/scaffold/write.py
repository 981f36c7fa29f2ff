"""Writes what a new network, layout of a dataset or stage of the pipeline consists of, ready to run, from templates."""

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

from unblur.errors import UnblurError, UsageError
from unblur.safety.atomic import replacing

CHECKOUT = Path(__file__).resolve().parents[3]
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

# Where a stage has a line of its own: the file, the line before it, and the line.
_ROWS = (
    (
        "src/unblur/cli.py",
        "COMMANDS = {\n",
        '    "$command": Command("unblur.stages.$name", "what it makes, of what"),\n',
    ),
    ("src/unblur/pipeline/code.py", "STAGES = {\n", '    "$name": ("model",),\n'),
)


def new_network(name: str, task: str, checkout: Path = CHECKOUT) -> list[Path]:
    """Write a network with its two files of conf/model, and return what was written.

    Args:
        name: of the module and of the model.
        task: image or video.
        checkout: of the repository.

    Raises:
        UnblurError: a file of that name is there, or this is no checkout.
        UsageError: the name is none for a module.
    """
    words = _words(name, checkout)
    target = f"_target_: unblur.networks.{name}.{words['class']}\n"
    tiny = f"# For smoke tests: every part of the architecture, no quality.\n{target}width: 8\nblocks: 1\n"
    return _write(
        checkout,
        {
            f"src/unblur/networks/{name}.py": _template(f"network_{task}", words),
            f"conf/model/{name}.yaml": f"{target}width: 32\nblocks: 8\n",
            f"conf/model/{name}_tiny.yaml": tiny,
        },
    )


def new_layout(name: str, checkout: Path = CHECKOUT) -> list[Path]:
    """Write a layout, its preset in conf/data and its fake for the tests; errors are those of `new_network`."""
    words = _words(name, checkout)
    return _write(
        checkout,
        {
            f"src/unblur/ingest/layouts/{name}.py": _template("layout", words),
            f"conf/data/{name}.yaml": _template("data", words),
            f"tests/ingest/layouts/fake_{name}.py": _template("layout_fake", words),
        },
    )


def new_stage(name: str, checkout: Path = CHECKOUT) -> list[Path]:
    """Write a stage, and its line into each table that knows the stages; errors are those of `new_network`.

    A command's name is none for a stage: it would stand in the table of commands twice.
    """
    words = _words(name, checkout)
    if not (checkout / "dvc.yaml").is_file():
        msg = f"{checkout}: has no dvc.yaml to add a stage to"
        raise UnblurError(msg)
    changed = {"dvc.yaml": (checkout / "dvc.yaml").read_text(encoding="utf-8") + _template("stage_dvc", words)}
    for file, start, row in _ROWS:
        text = (checkout / file).read_text(encoding="utf-8")
        line = Template(row).substitute(words)
        key = line.partition(":")[0]
        if f"\n{key}:" in text:
            msg = f"{file}: has a line {key.strip()} already; give the stage another name"
            raise UsageError(msg)
        if start not in text:
            msg = f"{file}: has no line {start.strip()!r}, after which the stage's line would go; add it by hand"
            raise UnblurError(msg)
        changed[file] = text.replace(start, start + line, 1)
    written = _write(checkout, {f"src/unblur/stages/{name}.py": _template("stage", words)})
    for file, text in changed.items():
        with replacing(checkout / file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    return [*written, *(checkout / file for file in changed)]


def _words(name: str, checkout: Path) -> dict[str, str]:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name.endswith("_tiny"):
        msg = f"{name!r}: expected a module's name, such as my_network"
        raise UsageError(msg)
    if not (checkout / "src" / "unblur").is_dir() or not (checkout / "conf").is_dir():
        msg = f"{checkout}: is no checkout of the repository; `git clone` it, and install it with `make venv`"
        raise UnblurError(msg)
    return {"name": name, "command": name.replace("_", "-"), "class": name.title().replace("_", "")}


def _template(name: str, words: dict[str, str]) -> str:
    file = resources.files("unblur.scaffold").joinpath("templates", f"{name}.txt")
    return Template(file.read_text(encoding="utf-8")).substitute(words)


def _write(checkout: Path, files: dict[str, str]) -> list[Path]:
    for file in files:
        if (checkout / file).exists():
            msg = f"{file}: is there already; choose another name"
            raise UnblurError(msg)
    for file, text in files.items():
        with replacing(checkout / file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    return [checkout / file for file in files]
