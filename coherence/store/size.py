"""Sizes as people write them, and the size that a store may grow to."""

import os
import re

from pydantic import ByteSize, TypeAdapter, ValidationError

from coherence.errors import StoreError

_VARIABLE = "COHERENCE_STORE_SIZE"
_DEFAULT = "10GB"
# pydantic reads the start of what is written, and would take 2,5GB for 2 bytes.
_SIZE = re.compile(r"(\d+|\d*\.\d+)\s*[a-z]*", re.ASCII | re.IGNORECASE)


def parse_size(written: str) -> ByteSize:
    """Bytes of a size such as `2GB`, `1.5GiB` or `2000`; anything else is a ValueError with a sentence."""
    if _SIZE.fullmatch(written.strip()):
        try:
            return TypeAdapter(ByteSize).validate_python(written)
        except ValidationError:
            pass
    raise ValueError(f"found the size {written!r}, expected one such as 2GB, 500MB or 1.5GiB")


def store_limit() -> ByteSize:
    """Bytes that a store may hold: `COHERENCE_STORE_SIZE`, or 10 GB. A bad value is a StoreError."""
    try:
        return parse_size(os.environ.get(_VARIABLE) or _DEFAULT)
    except ValueError as problem:
        raise StoreError(f"{_VARIABLE}: {problem}") from None


def readable(size: int) -> str:
    """Write a number of bytes as `parse_size` reads it, rounded: `1.5GB`."""
    return ByteSize(size).human_readable(decimal=True)
