"""Signatures, made and checked by us and by openssl."""

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from coherence.errors import CoherenceError
from coherence.signature import is_signed, signature_of, signature_path

CONTENT = b'{"format": 5}'


def write(folder, name, key, encryption=None):
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    pkcs8 = PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(Encoding.PEM, pkcs8, encryption or NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A private key and its public one."""
    return write(tmp_path_factory.mktemp("keys"), "own", Ed25519PrivateKey.generate())


def test_it_lies_beside_the_document(tmp_path):
    assert signature_path(tmp_path / "r.json") == tmp_path / "r.json.sig"


@given(content=st.binary(), at=st.integers(0, 8 * 64 - 1))
def test_a_signature_is_of_these_bytes_by_this_key(keys, content, at):
    private, public = keys
    signature = signature_of(content, private)
    assert is_signed(content, signature, public)
    assert not is_signed(content + b" ", signature, public)
    flipped = bytearray(signature)
    flipped[at // 8] ^= 1 << at % 8
    assert not is_signed(content, bytes(flipped), public)
    assert not is_signed(content, signature + b"\n", public)


def test_another_key_did_not_sign_it(keys, tmp_path):
    _, stranger = write(tmp_path, "stranger", Ed25519PrivateKey.generate())
    assert not is_signed(CONTENT, signature_of(CONTENT, keys[0]), stranger)


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def test_openssl_makes_the_keys_and_reads_the_signatures(tmp_path):
    private, public, document = tmp_path / "private.pem", tmp_path / "public.pem", tmp_path / "r.json"
    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    document.write_bytes(CONTENT)
    signature_path(document).write_bytes(signature_of(CONTENT, private))
    check = ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, "-in", document]
    openssl(*check, "-sigfile", signature_path(document))
    openssl(
        "pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", document, "-out", signature_path(document)
    )
    assert is_signed(CONTENT, signature_path(document).read_bytes(), public)


def test_what_is_no_key_is_a_sentence(keys, tmp_path):
    private, public = keys
    locked, _ = write(tmp_path, "locked", Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret"))
    curve, curve_public = write(tmp_path, "curve", generate_private_key(SECP256R1()))
    text = tmp_path / "text.pem"
    text.write_text("no key")
    for path, found in [
        (
            public,
            "found no private Ed25519 key in PEM; openssl genpkey -algorithm ed25519 -out private.pem",
        ),
        (locked, "the key has a password; expected one without"),
        (curve, "found no private Ed25519 key"),
        (text, "found no private Ed25519 key"),
        (tmp_path / "lost.pem", "cannot be read: No such file"),
    ]:
        with pytest.raises(CoherenceError) as caught:
            signature_of(CONTENT, path)
        assert str(caught.value).startswith(f"{path}: {found}")
    for path, found in [
        (private, "found no public Ed25519 key in PEM (this one is private); openssl pkey"),
        (curve_public, "found no public Ed25519 key in PEM; openssl"),
        (text, "found no public Ed25519 key in PEM; openssl"),
        (tmp_path / "lost.pem", "cannot be read: No such file"),
    ]:
        with pytest.raises(CoherenceError) as caught:
            is_signed(CONTENT, bytes(64), path)
        assert str(caught.value).startswith(f"{path}: {found}")


def test_without_the_library_it_says_what_to_install(keys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for ask in (lambda: signature_of(CONTENT, keys[0]), lambda: is_signed(CONTENT, bytes(64), keys[1])):
        with pytest.raises(CoherenceError, match=r"pip install 'pytest-coherence\[sign\]'$"):
            ask()
