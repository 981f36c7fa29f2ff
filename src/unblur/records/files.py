"""Records on disk: a dataclass as a JSON file, a list of them as a CSV file, read back as what they were."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from unblur.errors import UnblurError
from unblur.safety.atomic import replacing
from unblur.safety.unchanged import require_seal, require_unchanged, sealed


class DataclassInstance(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Record = TypeVar("Record", bound=DataclassInstance)

Optional = Annotated[float | None, BeforeValidator(lambda value: None if value == "" else value)]
"""A figure that may be missing: an empty cell of a CSV file."""


def write_json(path: Path, record: DataclassInstance) -> None:
    """Write a record into a folder of ours as a JSON object, one key a field."""
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")


def write_sealed_json(path: Path, record: DataclassInstance, beside: Iterable[Path] = ()) -> None:
    """Write a record among files of others, with the SHA-256 of itself, and of those `beside` it that belong to it."""
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps(sealed(asdict(record), beside), indent=2) + "\n", encoding="utf-8")


def read_json(path: Path, kind: type[Record], command: str) -> Record:
    """Read a record that `write_json` wrote; keys that it does not have are passed over.

    Args:
        path: of the file.
        kind: the dataclass.
        command: that writes the file, such as "train".

    Raises:
        UnblurError: the file is missing, was changed since it was written or is no JSON object, or a field is missing
            or of another type.
    """
    try:
        content: Any = json.loads(_read(path, command))
    except ValueError as error:
        msg = f"{path}: is not a JSON file ({error}); write it again with `unblur {command}`"
        raise UnblurError(msg) from error
    require_seal(path, content, command)
    return _checked(content, kind, str(path), command)


def write_table(path: Path, kind: "type[DataclassInstance]", rows: "Iterable[DataclassInstance]") -> None:
    """Write records of one kind as CSV: a column for each field, numbers in full precision."""
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, columns(kind), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)


def read_table(path: Path, kind: type[Record], command: str) -> list[Record]:
    """Read records that `write_table` wrote; columns that they do not have are passed over.

    Raises:
        UnblurError: the file is missing or was changed since it was written, or a column is missing or holds a value of
            another type.
    """
    content = _read(path, command)
    try:
        reader = csv.DictReader(io.StringIO(content.decode(), newline=""), restkey="?", restval=None)
        return [
            _checked(
                {name: value for name, value in row.items() if value is not None},
                kind,
                f"{path}, line {reader.line_num}",
                command,
            )
            for row in reader
        ]
    except (csv.Error, UnicodeDecodeError) as error:
        msg = f"{path}: is not a CSV file ({error}); write it again with `unblur {command}`"
        raise UnblurError(msg) from error


def require_rows(rows: Sequence[Record], path: Path, command: str) -> list[Record]:
    """Return the rows of a table that must have one.

    Raises:
        UnblurError: it has none.
    """
    if not rows:
        msg = f"{path}: lacks any row; write it again with `unblur {command}`"
        raise UnblurError(msg)
    return list(rows)


def columns(kind: "type[DataclassInstance]") -> list[str]:
    """Return the names of a record's fields."""
    return [field.name for field in fields(kind)]


def _checked(content: object, kind: type[Record], where: str, command: str) -> Record:
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=True)[0]
        key = ".".join(map(str, first["loc"]))
        what = f"lacks {key}" if first["type"] == "missing" else f"{key} {first['msg'].lower()}".lstrip()
        msg = f"{where}: {what}; write it again with `unblur {command}`"
        raise UnblurError(msg) from error


def _read(path: Path, command: str) -> bytes:
    """Return a record's bytes, as its stage wrote them."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        msg = f"{path} is not there; write it with `unblur {command}`"
        raise UnblurError(msg) from error
    require_unchanged(path, content)
    return content
