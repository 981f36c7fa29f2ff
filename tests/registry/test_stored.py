"""What a version holds is signed, and what was not signed is not loaded."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from unblur.config.tracking import tracking_client
from unblur.errors import MissingPackageError, UnblurError, UntrustedModelError
from unblur.registry.register import register
from unblur.registry.versions import read_version
from unblur.runtimes.mlflow_reference import fetched_graph
from unblur.runtimes.restorer import load_restorer

OFFSETS = (0, 0.31, 0.5, 0.77, 1)  # of a file's bytes, from the first to the last


def make_key(folder: Path, name: str) -> tuple[Path, Path]:
    """A private key and its public half, as docs/operations.md makes them."""
    folder.mkdir(exist_ok=True)
    private, public = folder / f"{name}.key", folder / f"{name}.pem"
    for line in (f"ecparam -name prime256v1 -genkey -noout -out {private}", f"ec -in {private} -pubout -out {public}"):
        subprocess.run(["openssl", *line.split()], check=True, capture_output=True)
    return private, public


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    private, public = make_key(tmp_path / "keys", "mine")
    monkeypatch.setenv("UNBLUR_SIGNING_KEY", str(private))
    monkeypatch.setenv("UNBLUR_PUBLIC_KEY", str(public))
    return private, public


@pytest.fixture
def signed(project: Any, keys: tuple[Path, Path]) -> Path:
    """The folder of a signed version's files in the store; `project.root` is its project."""
    project.export(0.8)
    version = register(project.cfg, project.root).version
    assert version.tags["signing_key"]
    (stored,) = (project.root / "mlartifacts").rglob("model.onnx")
    return stored.parent


def test_every_byte_of_every_file_counts(signed: Path) -> None:
    assert load_restorer("models:/unblur/1").sha256
    names = {file.name for file in signed.iterdir()}
    assert names >= {"MLmodel", "model.onnx", "requirements.txt", "conda.yaml", "python_env.yaml", "model.sig"}
    for file in signed.iterdir():
        whole = file.read_bytes()
        for place in {round(share * (len(whole) - 1)) for share in OFFSETS}:
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(UntrustedModelError, match=rf"^models:/unblur/1: .*{file.name}.*nothing was loaded"):
                fetched_graph("models:/unblur/1")
        file.write_bytes(whole)
    fetched_graph("models:/unblur/1")


def test_a_file_more_or_less_is_refused(signed: Path) -> None:
    (signed / "more.py").write_text("")
    with pytest.raises(UntrustedModelError, match=r"more\.py"):
        load_restorer("models:/unblur/1")
    (signed / "more.py").unlink()
    (signed / "conda.yaml").unlink()
    with pytest.raises(UntrustedModelError, match=r"conda\.yaml"):
        load_restorer("models:/unblur/1")


def test_without_the_tag_the_signature_alone_decides(signed: Path) -> None:
    tracking_client().delete_model_version_tag("unblur", "1", "signature_sha256")
    fetched_graph("models:/unblur/1")
    signature = signed / "model.sig"
    signature.write_text(signature.read_text().replace('"sig":"ME', '"sig":"MF'))
    with pytest.raises(UntrustedModelError, match=r"does not hold what was signed \(model\.sig"):
        fetched_graph("models:/unblur/1")


def test_another_key_is_refused_and_several_are_taken(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, other = make_key(tmp_path / "others", "other")
    monkeypatch.setenv("UNBLUR_PUBLIC_KEY", str(other))
    with pytest.raises(UntrustedModelError, match=r"is signed with the key \w{12}, trusted is \w{12}"):
        load_restorer("models:/unblur/1")
    (other.parent / "mine.pem").write_bytes(keys[1].read_bytes())
    monkeypatch.setenv("UNBLUR_PUBLIC_KEY", str(other.parent))
    assert load_restorer("models:/unblur/1").sha256
    other.with_name("broken.pem").write_text("junk")
    with pytest.raises(UnblurError, match=r"broken\.pem: holds no public key"):
        load_restorer("models:/unblur/1")


def test_the_signature_of_another_version_is_none(project: Any, signed: Path) -> None:
    client = tracking_client()
    project.export(0.9)
    register(project.cfg, project.root)
    (other,) = (path for path in (project.root / "mlartifacts").rglob("model.sig") if path.parent != signed)
    (signed / "model.sig").write_bytes(other.read_bytes())
    client.set_model_version_tag(
        "unblur", "1", "signature_sha256", read_version(client, "unblur", 2).tags["signature_sha256"]
    )
    with pytest.raises(UntrustedModelError, match=r"another, missing or new: .*model\.onnx"):
        load_restorer("models:/unblur/1")
    assert load_restorer("models:/unblur/2").sha256


def test_an_unsigned_model_is_refused_until_it_is_registered_with_the_key(
    project: Any, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNBLUR_SIGNING_KEY")
    project.export(0.8)
    version = register(project.cfg, project.root).version
    assert "signature_sha256" not in version.tags
    for call in (lambda: load_restorer("models:/unblur@candidate"), lambda: register(project.cfg, project.root)):
        with pytest.raises(UntrustedModelError, match=r"is not signed, and UNBLUR_PUBLIC_KEY asks for a signature"):
            call()
    monkeypatch.setenv("UNBLUR_SIGNING_KEY", str(keys[0]))
    done = register(project.cfg, project.root)
    assert (done.created, done.healed, done.version.number) == (False, True, 1)
    assert load_restorer("models:/unblur@candidate").sha256
    assert not register(project.cfg, project.root).healed


def test_a_new_key_signs_anew_and_a_lost_signed_file_needs_the_key(
    project: Any, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = make_key(tmp_path / "keys", "new")
    monkeypatch.setenv("UNBLUR_SIGNING_KEY", str(private))
    monkeypatch.setenv("UNBLUR_PUBLIC_KEY", str(public))
    assert register(project.cfg, project.root).healed
    assert load_restorer("models:/unblur/1").sha256
    monkeypatch.delenv("UNBLUR_SIGNING_KEY")
    monkeypatch.delenv("UNBLUR_PUBLIC_KEY")
    (signed / "model.onnx").unlink()
    with pytest.raises(
        UntrustedModelError, match=r"model\.onnx is gone.*it was signed with the key \w{12}: set UNBLUR"
    ):
        register(project.cfg, project.root)


def test_a_key_without_the_package_is_one_line(
    project: Any, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "model_signing"]:
        monkeypatch.delitem(sys.modules, name)
    find = importlib.util.find_spec

    class Hidden:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "model_signing":
                raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr(sys, "meta_path", [Hidden, *sys.meta_path])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "model_signing" else find(name))
    project.export(0.8)
    with pytest.raises(MissingPackageError, match=r"needs model_signing, .*pip install 'unblur\[sign\]'"):
        register(project.cfg, project.root)
    monkeypatch.delenv("UNBLUR_SIGNING_KEY")
    monkeypatch.delenv("UNBLUR_PUBLIC_KEY")
    register(project.cfg, project.root)
    assert load_restorer("models:/unblur/1").sha256
    monkeypatch.setenv("UNBLUR_PUBLIC_KEY", str(keys[1]))
    with pytest.raises(MissingPackageError, match=r"unblur\[sign\]"):
        load_restorer("models:/unblur/1")


@pytest.mark.parametrize("content", ["missing", "junk", "encrypted", "rsa"])
def test_a_key_that_cannot_be_used_is_one_line(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    private, _ = make_key(tmp_path, "a")
    given = tmp_path / "given.key"
    said = {
        "missing": "no such file",
        "junk": "cannot be read as a private key",
        "encrypted": "its password in UNBLUR_SIGNING_PASSWORD",
        "rsa": "key of another kind",
    }
    if content == "junk":
        given.write_text("junk")
    elif content == "encrypted":
        subprocess.run(
            ["openssl", "ec", "-in", private, "-aes256", "-passout", "pass:right", "-out", given], check=True
        )
    elif content == "rsa":
        subprocess.run(["openssl", "genrsa", "-out", given, "2048"], check=True, capture_output=True)
    monkeypatch.setenv("UNBLUR_SIGNING_KEY", str(given))
    project.export(0.8)
    with pytest.raises(UnblurError, match=said[content]):
        register(project.cfg, project.root)
    assert not tracking_client().search_model_versions("name = 'unblur'")
    if content == "encrypted":
        monkeypatch.setenv("UNBLUR_SIGNING_PASSWORD", "right")
        assert register(project.cfg, project.root).version.tags["signing_key"]
