"""Which files of the package a module reaches by its imports, and a hash of each that formatting does not change."""

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

from unblur.errors import UnblurError

PACKAGE = "unblur"


class Sources:
    """The files of the package, each read once. Files are named by their path inside the package: "losses/psnr.py".

    Args:
        folder: of the package; this one's by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(__file__).parents[1]
        self._trees: dict[str, ast.Module] = {}
        self._edges: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._fingerprints: dict[str, str] = {}

    @cached_property
    def files(self) -> frozenset[str]:
        """Every file of the package, modules and data."""
        found = (path for path in self._folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return frozenset(path.relative_to(self._folder).as_posix() for path in found)

    @cached_property
    def _data(self) -> dict[str, list[str]]:
        """Data files by what a module beside them may call them: their own name, or that of a folder that holds them.

        A folder that is a package is not taken for its data.
        """
        found: dict[str, list[str]] = {}
        for file in self.files:
            if file.endswith(".py"):
                continue
            found.setdefault(file, []).append(file)
            for folder in PurePosixPath(file).parents:
                if f"{folder}/__init__.py" not in self.files and folder.name:
                    found.setdefault(str(folder), []).append(file)
        return found

    def file_of(self, name: str) -> str | None:
        """Return the file of the module or package with the dotted `name`, or None if there is none."""
        first, *parts = name.split(".")
        if first != PACKAGE:
            return None
        path = "/".join(parts)
        candidates = (f"{path}.py", f"{path}/__init__.py") if path else ("__init__.py",)
        return next((candidate for candidate in candidates if candidate in self.files), None)

    def reached(
        self,
        starts: Iterable[str],
        without: Iterable[str] = (),
        uncalled: Mapping[str, Collection[str]] | None = None,
    ) -> set[str]:
        """Return the files that running the files `starts` can read, themselves among them.

        That is what they import, also inside functions; packages on the way, if they hold code; modules that a string
        names, such as those that are started by `python -m`; and the templates and tables that a string names. Imports
        under `if TYPE_CHECKING` do not run.

        Args:
            starts: files to begin with.
            without: files that are left out, with what they alone reach.
            uncalled: file -> its functions that are not called, so that what they alone import is not run either.
        """
        uncalled = uncalled or {}
        left_out = set(without)
        found: set[str] = set()
        waiting = list(starts)
        while waiting:
            file = waiting.pop()
            if file in found or file in left_out:
                continue
            found.add(file)
            if file.endswith(".py"):
                waiting += self._read_by(file, frozenset(uncalled.get(file, ())))
        return found

    def fingerprint(self, file: str) -> str:
        """Return a hash that stays as long as the file does the same.

        Of a module, that of its syntax tree without comments and docstrings; of another file, that of its bytes.

        Raises:
            UnblurError: a module that is no Python.
        """
        if file not in self._fingerprints:
            content = _told(self._tree(file)).encode() if file.endswith(".py") else (self._folder / file).read_bytes()
            kind = "code" if file.endswith(".py") else "data"
            self._fingerprints[file] = f"{kind}:{hashlib.sha256(content).hexdigest()[:16]}"
        return self._fingerprints[file]

    def _tree(self, file: str) -> ast.Module:
        if file not in self._trees:
            path = self._folder / file
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, ValueError) as error:
                msg = f"{path}: is no Python that this version understands ({error}); mend it, or bring it back"
                raise UnblurError(msg) from error
            self._trees[file] = _without_docstrings(tree)
        return self._trees[file]

    def _read_by(self, file: str, uncalled: frozenset[str]) -> frozenset[str]:
        key = file, uncalled
        if key not in self._edges:
            self._edges[key] = frozenset(self._named_in(file, uncalled))
        return self._edges[key]

    def _named_in(self, file: str, uncalled: frozenset[str]) -> Iterator[str]:
        for node in _walk(self._tree(file), uncalled):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._module(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = _absolute(node, file)
                yield from self._module(module)
                for alias in node.names:
                    yield from self._module(f"{module}.{alias.name}")
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from self._module(node.value)
                yield from self._data.get(str(PurePosixPath(file).parent / node.value), ())

    def _module(self, name: str) -> Iterator[str]:
        """Yield the module's file, and those of the packages around it that hold code."""
        file = self.file_of(name)
        if file is None:
            return
        parts = name.split(".")
        around = [self.file_of(".".join(parts[:end])) for end in range(1, len(parts))]
        for each in (*around, file):
            if each and (not each.endswith("__init__.py") or self._tree(each).body):
                yield each


def _absolute(node: ast.ImportFrom, file: str) -> str:
    """Return the dotted name of the module that `from ... import` reads; dots in front count from `file` upwards."""
    if not node.level:
        return node.module or ""
    around = [PACKAGE, *file.split("/")[:-1]]
    return ".".join([*around[: len(around) - node.level + 1], *([node.module] if node.module else [])])


def _walk(node: ast.AST, uncalled: Collection[str]) -> Iterator[ast.AST]:
    """Yield the nodes of a tree without the blocks under `if TYPE_CHECKING` and the functions that are not called."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef) and child.name in uncalled:
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in child.orelse:
                yield from _walk(other, uncalled)
        else:
            yield from _walk(child, uncalled)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Take out every string that stands by itself: docstrings, and those that describe a constant or a field."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                item for item in body if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
            ]
    return tree


def _told(value: object) -> str:
    """Write a tree as text without places and empty fields: versions of Python differ in which empty ones they have."""
    if isinstance(value, ast.JoinedStr):  # Python 3.12 puts empty strings into the formats of some
        return f"JoinedStr({','.join(_told(part) for part in value.values if getattr(part, 'value', None) != '')})"
    if isinstance(value, ast.AST):
        fields = ((name, _told(inner)) for name, inner in ast.iter_fields(value) if inner not in (None, []))
        return f"{type(value).__name__}({','.join(f'{name}={text}' for name, text in fields)})"
    if isinstance(value, list):
        return f"[{','.join(map(_told, value))}]"
    return repr(value)
