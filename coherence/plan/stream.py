"""Streams: everything random has a seed of its own, which nothing else can move."""

from hashlib import sha256


def stream(seed: int, name: str) -> int:
    """Derive a seed from that of the suite and the name of what is drawn."""
    return int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:4], "big")
