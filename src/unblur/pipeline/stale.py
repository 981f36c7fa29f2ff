"""Why a stage of the pipeline would run again: what dvc.lock recorded against what is here now."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from unblur.errors import UnblurError

COMPOSE = "compose"
CODE = "artifacts/config/code"
CONFIG = "artifacts/config/pipeline.yaml"
_LONGEST = 40  # characters of a value that is shown


class Present(NamedTuple):
    """What is here now.

    Attributes:
        config: the composed configuration, as plain dictionaries and lists.
        code: for each stage its files of the package and their fingerprints, as `code_of_stages` gives them.
        files: for each stage what `dvc status --json` says.
    """

    config: Mapping[str, Any]
    code: Mapping[str, Mapping[str, str]]
    files: Mapping[str, Sequence[Any]]


def why_stale(pipeline: Mapping[str, Any], lock: Mapping[str, Any], present: Present) -> dict[str, list[str]]:
    """Return the stages that would run again, each with what changed, in words; `compose` is not counted.

    Args:
        pipeline: the content of dvc.yaml.
        lock: the content of dvc.lock.
        present: what is here now.
    """
    stages, recorded = pipeline["stages"], lock.get("stages", {})
    made_by = {out: name for name, stage in stages.items() for out in _names(stage, "outs", "metrics", "plots")}
    stale: dict[str, list[str]] = {}
    for name in _in_order(stages, made_by):
        if name == COMPOSE:
            continue
        before = [made_by[dep] for dep in stages[name].get("deps", []) if dep in made_by]
        before = [each for each in dict.fromkeys(before) if each in stale]
        reasons = list(_own_reasons(name, stages[name], recorded.get(name), present))
        reasons += [
            f"file {path}: {state}"
            for path, state in _files(present.files.get(name, ()) if name in recorded else ())
            if made_by.get(path) not in before and not PurePosixPath(path).is_relative_to(PurePosixPath(CONFIG).parent)
        ]
        reasons += [f"after {each}" for each in before]
        if reasons:
            stale[name] = reasons
    return stale


def read_dvc(path: Path) -> dict[str, Any]:
    """Read dvc.yaml or dvc.lock as DVC does; a lock that is not there is empty.

    Raises:
        UnblurError: it is no YAML, or there is no dvc.yaml.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.serialize import load_yaml  # plain YAML reads 1e-05 as text, which DVC writes

    if path.suffix == ".lock" and not path.is_file():
        return {}
    try:
        content = load_yaml(path)
    except (OSError, DvcException) as error:
        msg = f"{path}: cannot be read as YAML; bring it back with `git checkout {path.name}`"
        raise UnblurError(msg) from error
    if not isinstance(content, dict) or not isinstance(content.get("stages", {}), dict):
        msg = f"{path}: has no stages; bring it back with `git checkout {path.name}`"
        raise UnblurError(msg)
    return content


def _own_reasons(
    name: str, stage: Mapping[str, Any], recorded: Mapping[str, Any] | None, present: Present
) -> Iterator[str]:
    if recorded is None:
        yield "never ran: dvc.lock does not know it"
        return
    if recorded.get("cmd") != stage["cmd"]:
        yield f"command: was `{recorded.get('cmd')}`"
    params = recorded.get("params", {})
    if (code := params.get(f"{CODE}/{name}.json")) is None:
        yield "code: dvc.lock does not say what it ran"
    else:
        yield from (f"module {file}: {state}" for file, state in _differences(code, present.code.get(name, {})))
    was = params.get(CONFIG, {})
    for key in _keys(stage):
        old, new = _flat(key, was.get(key)), _flat(key, _select(present.config, key))
        for leaf in dict.fromkeys([*old, *new]):
            if old.get(leaf) != new.get(leaf):
                yield f"key {leaf}: {_shown(new, leaf)}, was {_shown(old, leaf)}"


def _in_order(stages: Mapping[str, Any], made_by: Mapping[str, str]) -> list[str]:
    """Return the stages, each after those whose files it reads."""
    done: dict[str, None] = {}

    def visit(name: str, above: frozenset[str] = frozenset()) -> None:
        if name in done or name in above:
            return
        for dep in stages[name].get("deps", []):
            if dep in made_by:
                visit(made_by[dep], above | {name})
        done[name] = None

    for name in stages:
        visit(name)
    return list(done)


def _differences(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted({*old, *new}):
        if name not in old:
            yield name, "is new to it"
        elif name not in new:
            yield name, "no longer reached"
        elif old[name] != new[name]:
            yield name, "changed"


def _files(status: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield each file or folder that DVC found changed, and in which way."""
    words = {"modified": "changed", "deleted": "is not here", "not in cache": "is not in DVC's cache"}
    for entry in status:
        if isinstance(entry, dict):
            for changes in entry.values():
                yield from ((path, words.get(str(state), str(state))) for path, state in changes.items())


def _keys(stage: Mapping[str, Any]) -> list[str]:
    """Return the keys of the composed configuration that a stage of dvc.yaml names."""
    return [key for entry in stage.get("params", []) if isinstance(entry, dict) for key in entry.get(CONFIG) or ()]


def _names(stage: Mapping[str, Any], *kinds: str) -> list[str]:
    entries = [entry for kind in kinds for entry in stage.get(kind, [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def _select(config: Mapping[str, Any], key: str) -> object:
    found: object = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _flat(key: str, value: object) -> dict[str, object]:
    """Return the values below `key` by their own keys: what changed is told leaf by leaf."""
    if isinstance(value, Mapping) and value:
        return {leaf: inner for name in value for leaf, inner in _flat(f"{key}.{name}", value[name]).items()}
    return {key: value}


def _shown(values: Mapping[str, object], key: str) -> str:
    text = str(values[key]) if key in values else "not there"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
