"""Signatures over all files of a model, in the format of the OpenSSF's model-signing: made with one's own key, checked.

Keys come from the environment alone: they belong to a machine and not to a tracked configuration, they hold for every
command, and no configuration can switch the check off.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unblur.config.extras import told
from unblur.errors import UnblurError, UntrustedModelError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from model_signing.hashing import Config

SIGNATURE = "model.sig"
SIGNING_KEY = "UNBLUR_SIGNING_KEY"
PASSWORD = "UNBLUR_SIGNING_PASSWORD"  # noqa: S105, the name of a variable
PUBLIC_KEY = "UNBLUR_PUBLIC_KEY"
MEND = "make one as docs/operations.md says: `openssl ecparam -name prime256v1 -genkey -noout`"

_DIFFERING = re.compile(r"(?:Hash mismatch for '|(?:Extra|Missing) files (?:found )?in model '[^']*': )([^'\"]+)")


def signing_key() -> Path | None:
    """Return the file of the private key that UNBLUR_SIGNING_KEY names, None where nothing shall be signed.

    Raises:
        UnblurError: there is no such file.
    """
    given = os.environ.get(SIGNING_KEY)
    if not given:
        return None
    if not Path(given).is_file():
        msg = f"{SIGNING_KEY}={given}: no such file; {MEND}"
        raise UnblurError(msg)
    return Path(given)


def public_keys() -> dict[str, Path]:
    """Return fingerprint -> file of the public keys that UNBLUR_PUBLIC_KEY names, a file or a folder of `*.pem`.

    None are returned where the variable is not set: signatures are not asked for then.

    Raises:
        MissingPackageError: `unblur[sign]` is not installed.
        UnblurError: nothing is there, or a file holds no public key of P-256, P-384 or P-521.
    """
    given = os.environ.get(PUBLIC_KEY)
    if not given:
        return {}
    place = Path(given)
    files = sorted(place.glob("*.pem")) if place.is_dir() else [place] if place.is_file() else []
    if not files:
        what = "has no file *.pem" if place.is_dir() else "no such file or folder"
        msg = f"{PUBLIC_KEY}={given}: {what}; without the public key no model can be trusted"
        raise UnblurError(msg)
    return {fingerprint(file): file for file in files}


def fingerprint(public_key: Path) -> str:
    """Return the SHA-256 of a public key as PEM, by which a signature names its key: `openssl sha256 FILE`.

    Raises:
        MissingPackageError: `unblur[sign]` is not installed.
        UnblurError: the file holds no public key of an elliptic curve.
    """
    with told():
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    try:
        key = load_pem_public_key(public_key.read_bytes())
    except (OSError, ValueError) as error:
        msg = f"{public_key}: holds no public key in PEM; {MEND}, and give its public half"
        raise UnblurError(msg) from error
    return hashlib.sha256(_pem(_of_curve(key, public_key))).hexdigest()


def check_signing(key: Path) -> None:
    """Do nothing if `sign` can use a private key.

    Raises:
        MissingPackageError: `unblur[sign]` is not installed.
        UnblurError: the key cannot be read, or is of another kind.
    """
    _public(key)


def sign(folder: Path, key: Path) -> str:
    """Sign every file in `folder` as model.sig in it, and return the key's fingerprint.

    The password of an encrypted key is that of UNBLUR_SIGNING_PASSWORD.

    Raises:
        MissingPackageError: `unblur[sign]` is not installed.
        UnblurError: the key cannot be read.
    """
    found = _public(key)  # first, as its messages are clear
    from model_signing import signing

    signer = signing.Config().set_hashing_config(_hashing())
    signer.use_elliptic_key_signer(private_key=key, password=_password()).sign(folder, folder / SIGNATURE)
    return hashlib.sha256(found).hexdigest()


@contextmanager
def public_half(private_key: Path) -> Iterator[dict[str, Path]]:
    """Give fingerprint -> file of a private key's public half, for `verify`; the file goes with the block.

    Raises:
        MissingPackageError: `unblur[sign]` is not installed.
        UnblurError: the key cannot be read, or is of another kind.
    """
    pem = _public(private_key)
    with tempfile.TemporaryDirectory(prefix="unblur-") as folder:
        file = Path(folder) / "public.pem"
        file.write_bytes(pem)
        yield {hashlib.sha256(pem).hexdigest(): file}


def _public(private_key: Path) -> bytes:
    with told():
        import model_signing  # noqa: F401, asked for before anything is written
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    try:
        key = load_pem_private_key(private_key.read_bytes(), _password())
    except (OSError, TypeError, ValueError) as error:
        msg = (
            f"{private_key}: cannot be read as a private key in PEM ({_first(error)}); an encrypted one needs its "
            f"password in {PASSWORD}, a plain one none"
        )
        raise UnblurError(msg) from error
    return _pem(_of_curve(key.public_key(), private_key))


def verify(folder: Path, keys: Mapping[str, Path], what: str, expected: str | None = None) -> str:
    """Check that one of `keys` has signed exactly the files in `folder`, and return its fingerprint.

    Args:
        folder: the model's files and model.sig; nobody else may write there.
        keys: fingerprint -> file, as of `public_keys`.
        what: the model, for messages.
        expected: SHA-256 that model.sig was registered with, if it was.

    Raises:
        MissingPackageError: `unblur[sign]` is not installed.
        UntrustedModelError: no signature, one of another key or other files, or one that cannot be read.
    """
    with told():
        from model_signing import verifying

    mend = "nothing was loaded; register it again with the signing key, or take another version"
    file = folder / SIGNATURE
    if not file.is_file():
        msg = f"{what}: is not signed, and {PUBLIC_KEY} asks for a signature; {mend}"
        raise UntrustedModelError(msg)
    content = file.read_bytes()
    if expected is not None and hashlib.sha256(content).hexdigest() != expected:
        msg = f"{what}: {SIGNATURE} is not the one that was registered; {mend}"
        raise UntrustedModelError(msg)
    try:
        signer = str(json.loads(content)["verificationMaterial"]["publicKey"]["hint"])
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{what}: {SIGNATURE} cannot be read as a signature of model-signing; {mend}"
        raise UntrustedModelError(msg) from error
    if signer not in keys:
        trusted = " or ".join(each[:12] for each in keys)
        msg = f"{what}: is signed with the key {signer[:12]}, trusted is {trusted} ({PUBLIC_KEY}); {mend}"
        raise UntrustedModelError(msg)
    checker = verifying.Config().set_hashing_config(_hashing())
    try:
        checker.use_elliptic_key_verifier(public_key=keys[signer]).verify(folder, file)
    except Exception as error:  # a damaged signature fails in protobuf, base64, JSON or cryptography
        files = sorted({*_DIFFERING.findall(str(error).replace("\\'", "'"))})
        reason = f"another, missing or new: {', '.join(files)}" if files else f"{SIGNATURE}: {_first(error)[:200]}"
        msg = f"{what}: does not hold what was signed ({reason.rstrip(': ')}); {mend}"
        raise UntrustedModelError(msg) from error
    return signer


def _hashing() -> "Config":
    """Every file counts, those of git too; only the signature itself is left out."""
    from model_signing import hashing

    return (
        hashing.Config()
        .use_file_serialization(hashing_algorithm="sha256", max_workers=1)
        .set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    )


def _password() -> bytes | None:
    given = os.environ.get(PASSWORD)
    return given.encode() if given else None


def _of_curve(key: object, file: Path) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in ("secp256r1", "secp384r1", "secp521r1"):
        msg = f"{file}: is a key of another kind, expected one of the curve P-256; {MEND}"
        raise UnblurError(msg)
    return key


def _pem(key: "EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _first(error: Exception) -> str:
    return " ".join(str(error).split())
