"""A graph's file, read once: the bytes that are hashed and compared with what was written are the ones that are run."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from unblur.errors import UnblurError
from unblur.safety.hashing import read_listed

# How ONNX's protobuf writes the name of a file that holds weights: the key "location", then a text and its length.
_LOCATION = re.compile(rb"\n\x08location\x12(.)", re.DOTALL)


@dataclass(frozen=True)
class GraphFile:
    """What is in an .onnx file, or in an .xml and the .bin beside it.

    `outside` holds the files that an ONNX graph keeps weights in, by the names that it calls them. `sha256` is that of
    the file with the weights; of a graph with weights outside, that of all its files, one after the other.
    """

    path: Path
    content: bytes = field(repr=False)
    sha256: str
    weights: bytes | None = field(default=None, repr=False)
    outside: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def read_graph(path: Path) -> GraphFile:
    """Read an .onnx file, or an .xml and its .bin.

    Raises:
        UnblurError: a file is missing, or is not what the listing beside it tells.
    """
    content, sha256 = read_listed(path)
    if path.suffix == ".xml":
        weights, sha256 = read_listed(path.with_suffix(".bin"))
        return GraphFile(path, content, sha256, weights)
    outside = {}
    for name in sorted(_names_outside(content)):
        if Path(name).name != name:
            msg = f"{path}: keeps weights in {name!r}, expected a file beside it; save the model again in one file"
            raise UnblurError(msg)
        outside[name], _ = read_listed(path.with_name(name))
    if outside:
        digest = hashlib.sha256(content)
        for each in outside.values():
            digest.update(each)
        sha256 = digest.hexdigest()
    return GraphFile(path, content, sha256, outside=outside)


def _names_outside(content: bytes) -> set[str]:
    names = (content[found.end() : found.end() + found[1][0]] for found in _LOCATION.finditer(content))
    return {name.decode("utf-8", errors="replace") for name in names}
