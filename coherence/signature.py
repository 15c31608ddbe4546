"""Signatures beside results documents: Ed25519 (RFC 8032), the 64 bytes alone, as openssl makes them."""

from pathlib import Path
from typing import TYPE_CHECKING

from coherence.errors import CoherenceError, Place
from coherence.files import read_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_LENGTH = 64
# Keys and signatures have some hundred bytes.
_MOST = 10_000


def small_file(path: Path) -> bytes:
    """Return what a key or a signature holds; a CoherenceError says why it cannot be read."""
    try:
        return read_file(path, _MOST)
    except OSError as problem:
        raise CoherenceError(f"cannot be read: {problem.strerror or problem}", Place(str(path))) from None


def signature_path(document: Path) -> Path:
    """Return where the signature of a document lies."""
    return document.with_name(f"{document.name}.sig")


def signature_of(content: bytes, key: Path) -> bytes:
    """Sign with a private key in PEM (PKCS 8); a CoherenceError says why the key cannot be used."""
    return _private(key).sign(content)


def is_signed(content: bytes, signature: bytes, key: Path) -> bool:
    """Whether the owner of a public key, in PEM, signed these very bytes; a CoherenceError as above."""
    public = _public(key)
    from cryptography.exceptions import InvalidSignature

    if len(signature) != _LENGTH:
        return False
    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _private(path: Path) -> "Ed25519PrivateKey":
    _require_library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    written, place = small_file(path), Place(str(path))
    try:
        key = load_pem_private_key(written, password=None)
    except TypeError:
        raise CoherenceError(
            f"the key has a password; expected one without, such as openssl pkey -in {path} makes", place
        ) from None
    except Exception:  # whatever else the library finds wrong with it
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise CoherenceError(
            "found no private Ed25519 key in PEM; openssl genpkey -algorithm ed25519 -out private.pem makes "
            "one",
            place,
        )
    return key


def _public(path: Path) -> "Ed25519PublicKey":
    _require_library()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    written, place = small_file(path), Place(str(path))
    try:
        key = load_pem_public_key(written)
    except Exception:  # as above
        key = None
    if not isinstance(key, Ed25519PublicKey):
        private = " (this one is private)" if b"PRIVATE KEY" in written else ""
        raise CoherenceError(
            f"found no public Ed25519 key in PEM{private}; openssl pkey -in private.pem -pubout "
            "-out public.pem makes one",
            place,
        )
    return key


def _require_library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise CoherenceError(
            "signatures need cryptography; install it with pip install 'pytest-coherence[sign]'"
        ) from None
