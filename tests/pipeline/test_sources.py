"""Import closures and fingerprints, on a package made here, and against grimp on our own."""

from pathlib import Path

import grimp
import pytest

from unblur.errors import UnblurError
from unblur.pipeline.sources import Sources

FILES = {
    "__init__.py": '"""Only a docstring."""\n',
    "a/__init__.py": "",
    "a/one.py": "from typing import TYPE_CHECKING\nfrom unblur.a import two\nif TYPE_CHECKING: import unblur.b.types\n",
    "a/two.py": "def f():\n    from unblur.b.late import g\n    return g, 'page.html', 'tables'\n",
    "a/page.html": "<p>",
    "a/tables/x.csv": "1",
    "a/other.html": "<p>",
    "a/three.py": "from . import two\nfrom ..b import late\n",
    "b/__init__.py": "CODE = 1\n",
    "b/late.py": "COMMAND = ['-m', 'unblur.b.child']\n",
    "b/child.py": "",
    "b/types.py": "",
    "b/page.html": "<p>",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "unblur" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "unblur"


def test_what_a_module_reaches(package):
    of_two = {"a/two.py", "b/__init__.py", "b/late.py", "b/child.py", "a/page.html", "a/tables/x.csv"}
    assert Sources(package).reached(["a/two.py"]) == of_two
    assert Sources(package).reached(["a/one.py"]) == {"a/one.py", *of_two}
    assert Sources(package).reached(["a/three.py"]) == {"a/three.py", *of_two}


def test_what_is_left_out_takes_along_what_it_alone_reaches(package):
    assert Sources(package).reached(["a/one.py"], without=["b/late.py"]) == {
        "a/one.py", "a/two.py", "a/page.html", "a/tables/x.csv", "b/__init__.py"
    }  # fmt: skip


def fingerprint(package: Path, content: str) -> str:
    (package / "b" / "child.py").write_text(content)
    return Sources(package).fingerprint("b/child.py")


def test_words_and_formatting_do_not_count(package):
    plain = fingerprint(package, "X = 1\ndef f(a, b=2):\n    return a\nclass C:\n    n: int = 3\n")
    told = (
        '"""File."""\nX = 1  # why\n"""One."""\n\n\ndef f(a,\n      b=2):\n    """F."""\n    # more\n    return (a)\n'
    )
    told += 'class C:\n    """C."""\n    n: int = 3\n    """N."""\n'
    assert fingerprint(package, told) == plain
    bare = fingerprint(package, "def f():\n    pass\n")
    assert fingerprint(package, 'def f():\n    """F."""\n    pass\n') == bare


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("X = 1\n", "X = 2\n"),
        ("X = 1\n", "X = 1.0\n"),
        ("X = 1\n", "Y = 1\n"),
        ("X = 'a'\n", "X = b'a'\n"),
        ("def f():\n    return 'word'\n", "def f():\n    return 'words'\n"),
        ("def f(a, /): ...\n", "def f(a): ...\n"),
        ("X = -a + b\n", "X = -(a + b)\n"),
        ("if a:\n    x = 1\ny = 1\n", "if a:\n    x = 1\n    y = 1\n"),
        ("X = None\n", "X: int\n"),
        ("return_ = None\n", "return_ = []\n"),
    ],
)
def test_what_the_code_does_counts(package, before, after):
    assert fingerprint(package, before) != fingerprint(package, after)


def test_a_data_file_counts_byte_by_byte(package):
    before = Sources(package).fingerprint("a/page.html")
    (package / "a" / "page.html").write_text("<p> ")
    assert Sources(package).fingerprint("a/page.html") != before


def test_a_module_that_is_no_python_is_told(package):
    with pytest.raises(UnblurError, match=r"child\.py: is no Python"):
        fingerprint(package, "def f(:\n")


@pytest.mark.parametrize("stage", ["check_data", "train", "quantize", "benchmark", "report"])
def test_grimp_finds_the_same_imports(stage):
    graph = grimp.build_graph("unblur", cache_dir=None, exclude_type_checking_imports=True)
    expected = {f"unblur.stages.{stage}"} | set(graph.find_upstream_modules(f"unblur.stages.{stage}"))
    sources = Sources()
    found = {file for file in sources.reached([f"stages/{stage}.py"]) if file.endswith(".py")}
    modules = {sources.file_of(name) for name in expected}
    assert {file for file in modules if not file.endswith("__init__.py")} == {
        file for file in found if not file.endswith("__init__.py")
    }
