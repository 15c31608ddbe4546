"""A GGUF file that is there when it is whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gguf import GGUFWriter

from coherence.files import replacing


@contextmanager
def gguf_file(path: Path, architecture: str) -> Iterator[GGUFWriter]:
    """Add metadata and tensors inside; written afterwards. OSError where it cannot be."""
    file = GGUFWriter(None, architecture)
    yield file
    with replacing(path) as partial:
        file.write_header_to_file(partial)
        file.write_kv_data_to_file()
        file.write_tensors_to_file()
        file.close()
