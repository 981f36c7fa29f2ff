"""Whether a model is what was registered: hashes, signature, and what its documents say of its files."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unblur.config.tracking import store_errors
from unblur.errors import UnblurError
from unblur.registry.bom import FILE as BOM
from unblur.registry.provenance import FILE as PROVENANCE
from unblur.registry.provenance import PREDICATE, STATEMENT
from unblur.runtimes.mlflow_reference import fetched, is_mlflow_reference
from unblur.runtimes.signature import PUBLIC_KEY, SIGNATURE, public_keys, verify
from unblur.safety.hashing import LISTING, listed_sha256, sha256_file

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

MODEL = "model.onnx"
TAGS = {MODEL: "model_sha256", SIGNATURE: "signature_sha256", BOM: "bom_sha256", PROVENANCE: "provenance_sha256"}
State = Literal["ok", "note", "failed"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what of, how it is, and what was found."""

    name: str
    state: State
    found: str


@store_errors()
def check_model(reference: str) -> list[Check]:
    """Check a registered version, or a file or folder with its listing, and return what was looked at.

    Args:
        reference: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, or a path.

    Raises:
        UnblurError: there is no such model, or a public key cannot be read.
    """
    keys = public_keys()
    if is_mlflow_reference(reference):
        with fetched(reference) as (folder, versions):
            return [*_registered(folder, versions), *_signed(folder, keys, reference, versions), *_documents(folder)]
    path = Path(reference)
    if not path.exists():
        msg = f"{reference}: there is no such file or folder; registered models are called models:/NAME@ALIAS"
        raise UnblurError(msg)
    found = list(_listed(path))
    if path.is_dir():
        found += [*_signed(path, keys, reference, []), *_documents(path)]
    if not any(each.state == "ok" for each in found):
        found.append(Check("origin", "failed", f"neither {LISTING} nor {SIGNATURE} vouches for it"))
    return found


def _registered(folder: Path, versions: "list[ModelVersion]") -> Iterator[Check]:
    """Yield each stored file whose SHA-256 is a tag of the version."""
    tags = versions[0].tags if versions else {}
    if TAGS[MODEL] not in tags:
        yield Check(MODEL, "failed", "no SHA-256 of it was ever registered")
    for name, tag in TAGS.items():
        if tag in tags:
            yield _compared(folder / name, tags[tag], f"is what the tag {tag} says", name=name)


def _listed(path: Path) -> Iterator[Check]:
    """Yield each file that the listing beside it names."""
    folder = path if path.is_dir() else path.parent
    try:
        names = sorted(json.loads((folder / LISTING).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        names = []
    for name in names if path.is_dir() else [path.name]:
        expected = listed_sha256(folder / name)
        if expected is None:
            yield Check(name, "failed", f"{LISTING} does not name it")
        else:
            yield _compared(folder / name, expected, f"is what {LISTING} says", name=name)


def _compared(file: Path, expected: str, said: str, *, name: str) -> Check:
    if not file.is_file():
        return Check(name, "failed", "is gone")
    found = sha256_file(file)
    if found != expected:
        return Check(name, "failed", f"has the SHA-256 {found[:12]}, expected {expected[:12]}")
    return Check(name, "ok", f"{said}: {found}")


def _signed(folder: Path, keys: dict[str, Path], reference: str, versions: "list[ModelVersion]") -> Iterator[Check]:
    there = (folder / SIGNATURE).is_file()
    if keys:
        try:
            expected = versions[0].tags.get(TAGS[SIGNATURE]) if versions else None
            signer = verify(folder, keys, reference, expected)
            yield Check("signature", "ok", f"every file is signed with the key {signer} ({keys[signer]})")
        except UnblurError as error:
            yield Check("signature", "failed", str(error))
    elif there:
        yield Check("signature", "failed", f"cannot be checked: set {PUBLIC_KEY} to the public key that you trust")
    else:
        yield Check("signature", "note", "none, and none is asked for")


def _documents(folder: Path) -> Iterator[Check]:
    """Yield whether bom.json and provenance.json speak of the files beside them."""
    readers: dict[str, Callable[[dict[str, Any]], dict[str, str]]] = {BOM: _of_bom, PROVENANCE: _of_provenance}
    for file, read in readers.items():
        if not (folder / file).is_file():
            yield Check(file.removesuffix(".json"), "note", "none")
            continue
        try:
            told = read(json.loads((folder / file).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            yield Check(
                file.removesuffix(".json"), "failed", f"{file} cannot be read ({type(error).__name__}: {error})"
            )
            continue
        wrong = [
            name
            for name, sha256 in told.items()
            if Path(name).name != name or not (folder / name).is_file() or sha256_file(folder / name) != sha256
        ]
        said = f"{file} speaks of other files: {', '.join(wrong)}" if wrong else f"agrees with {', '.join(told)}"
        yield Check(file.removesuffix(".json"), "failed" if wrong else "ok", said)


def _of_bom(content: dict[str, Any]) -> dict[str, str]:
    hashes = content["metadata"]["component"]["hashes"]
    return {MODEL: next(str(each["content"]) for each in hashes if each["alg"] == "SHA-256")}


def _of_provenance(content: dict[str, Any]) -> dict[str, str]:
    if (content["_type"], content["predicateType"]) != (STATEMENT, PREDICATE) or not content["subject"]:
        msg = "is no statement of SLSA provenance"
        raise ValueError(msg)
    return {str(each["name"]): str(each["digest"]["sha256"]) for each in content["subject"]}
