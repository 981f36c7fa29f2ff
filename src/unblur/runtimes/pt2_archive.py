"""What is in a torch.export archive, checked and packed anew before PyTorch sees any of it.

PyTorch unpickles what an archive calls a pickle, evaluates its sizes as Python, and resolves its operators by name. So
only the layout that `unblur.export.pt2` writes is taken, and PyTorch's reader gets a fresh archive of the checked
members: two readers may find different members in one crafted file, but not in one that was written here.
"""

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unblur.errors import UnblurError
from unblur.safety.archives import read_zip
from unblur.safety.hashing import listed_sha256, require_listed

MAX_BYTES = 4 << 30
MODEL = "models/model.json"
CONFIGS = {
    "data/weights/model_weights_config.json": re.compile(r"weight_\d+"),
    "data/constants/model_constants_config.json": re.compile(r"tensor_\d+"),
}
"""Lists of raw tensors, and what the members that they name are called."""
SAMPLES = "data/sample_inputs/model.pt"  # always empty: anything else is a pickle
REQUIRED = {MODEL, *CONFIGS, SAMPLES, "archive_format", "archive_version", ".data/version", "byteorder"}
TENSOR = re.compile(r"data/weights/weight_\d+|data/constants/tensor_\d+")
OPTIONAL = ".data/serialization_id"

ARITHMETIC = re.compile(r"_operator\.(add|sub|mul|floordiv|mod|neg|eq|ne|lt|le|gt|ge|getitem)|torch\.sym_(max|min)")
TENSOR_OPERATOR = re.compile(r"torch\.ops\.aten\.(_?[a-z]\w*)\.[A-Za-z]\w*")
WITH_FILES = frozenset({"from_file", "save", "load", "open"})
# Of tensors, numbers and layouts. Not among them: custom objects, operators as arguments, inner graphs.
ARGUMENTS = re.compile(
    r"as_((optional_)?tensors?|none|ints?|floats?|bools?|strings?|sym_(int|bool|float)s?|expr|name|scalar_type"
    r"|memory_format|layout|device)"
)
# A size, such as Add(Symbol('s11', positive=True, integer=True), Integer(2)): these words and no dots or brackets.
SIZE = re.compile(
    r"(\b(Add|Mul|Pow|Max|Min|FloorDiv|CeilDiv|CleanDiv|Mod|PythonMod|ModularIndexing|Integer|Symbol|Eq|Ne|Lt|Le|Gt|Ge"
    r"|Equality|Unequality|LessThan|GreaterThan|StrictLessThan|StrictGreaterThan|And|Or|Not"
    r"|True|False|true|false|positive|integer|nonnegative)\b|'[a-z]\d+'|\b\d+\b|[(), =-])*"
)


MOST_POWERS = 4
EXPONENT = re.compile(r"Integer\(-?\d\)")


def read_program(path: Path) -> tuple[io.BytesIO, str]:
    """Return the archive at `path`, packed anew of its checked members, for `torch.export.load`; and its SHA-256.

    Notes on sizes that the tracing saw (guards) are left out: PyTorch would compile them.

    Raises:
        UnblurError: not an archive, not exactly what `unblur export` writes, or a listing beside it names another.
    """
    members, sha256 = read_zip(path, max_bytes=MAX_BYTES)
    require_listed(path, listed_sha256(path), lambda: sha256)
    root = next(iter(members)).partition("/")[0]
    members = {name.removeprefix(f"{root}/"): content for name, content in members.items()}
    try:
        if fault := next(_faults(members), None):
            msg = f"{path}: {fault}; `unblur export` writes no such file, so it is not loaded: export the model again"
            raise UnblurError(msg)
        members[MODEL] = json.dumps({**json.loads(members[MODEL]), "guards_code": []}).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{path}: its description of the program is damaged ({type(error).__name__}); export the model again"
        raise UnblurError(msg) from error
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"archive/{name}", content)
    packed.seek(0)
    return packed, sha256


def _faults(members: dict[str, bytes]) -> Iterator[str]:
    """Say what is there that PyTorch would unpickle, evaluate or link, or what is missing."""
    for name in members:
        if name not in REQUIRED and name != OPTIONAL and not TENSOR.fullmatch(name):
            yield f"{name} may hold pickled objects or compiled code"
    for name in sorted(REQUIRED - members.keys()):
        yield f"{name} is missing"
    if members[SAMPLES]:
        yield f"{SAMPLES} holds pickled objects"
    for name, payload in CONFIGS.items():
        for each in json.loads(members[name])["config"].values():
            if each["use_pickle"] is not False or not payload.fullmatch(each["path_name"]):
                yield f"{name} names pickled objects"
            if not members.get(f"{name.rpartition('/')[0]}/{each['path_name']}"):
                yield f"{each['path_name']} is empty or missing"
    yield from _program_faults(json.loads(members[MODEL]))


def _program_faults(program: dict[str, Any]) -> Iterator[str]:
    """Say what PyTorch would evaluate, import or call that is no arithmetic of tensors."""
    graph = program["graph_module"]
    if graph["graph"].get("custom_obj_values") or graph.get("treespec_namedtuple_fields"):
        yield f"{MODEL} has objects besides tensors"
    for node in graph["graph"]["nodes"]:
        operator = node["target"]
        found = TENSOR_OPERATOR.fullmatch(operator)
        if not ARITHMETIC.fullmatch(operator) and (not found or found[1] in WITH_FILES):
            yield f"{MODEL} calls {operator!r}, no operator of tensors"
        if node["metadata"]:
            yield f"{MODEL} has notes about source code"
    for module in graph["module_call_graph"]:
        for side in ("in_spec", "out_spec") if module["signature"] else ():
            if not _plain(json.loads(module["signature"][side])[1]):
                yield f"{MODEL} takes or returns objects besides tensors"
    yield from _unknown(program)


def _plain(spec: dict[str, Any]) -> bool:
    """Say whether a tree of arguments is of tuples, lists and dictionaries alone; PyTorch would import other types."""
    plain = spec["type"] in (None, "builtins.tuple", "builtins.list", "builtins.dict")
    return plain and spec["context"] in (None, "null", "[]") and all(map(_plain, spec["children_spec"]))


def _is_size(text: str) -> bool:
    """Say whether a text is a size that PyTorch may compute: a few powers, to a digit, and none to the power of one."""
    if not SIZE.fullmatch(text):
        return False
    try:
        calls = [node for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Call)]
    except (SyntaxError, MemoryError, RecursionError):
        return False
    powers = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Pow"]
    return len(powers) <= MOST_POWERS and all(EXPONENT.fullmatch(ast.unparse(call.args[-1])) for call in powers)


def _unknown(value: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield arguments and sizes that are none, wherever they stand."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name.startswith("as_") and not ARGUMENTS.fullmatch(name):
                yield f"{MODEL} has an argument {name!r}"
            if name == "expr_str" and not _is_size(inner):
                yield f"{MODEL} has a size {inner[:60]!r}"
            yield from _unknown(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _unknown(inner)
