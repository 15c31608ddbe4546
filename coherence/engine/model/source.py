"""Where transformers is to read a model from: a folder, or a GGUF file and nothing beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import transformers

from coherence.engine.model.folder import is_gguf


@dataclass(frozen=True)
class Source:
    """The path of a model, the folder that transformers is given, and what it is told with that."""

    path: Path
    folder: Path
    named: Mapping[str, str]

    @classmethod
    @contextmanager
    def of(cls, path: Path) -> Iterator["Source"]:
        """Give the folder of a model, or for a GGUF file one that is there inside, and empty.

        Tokenizers and templates that lie beside the file would else be mixed with its own.
        """
        if not is_gguf(path):
            yield cls(path, path, {})
            return
        with TemporaryDirectory() as nothing:
            yield cls(path, Path(nothing), {"gguf_file": str(path.resolve())})

    @property
    def dequantized(self) -> dict[str, Any]:
        """What makes a plain model of a GGUF file in any version of transformers, on any device."""
        made = getattr(transformers, "GgufConfig", None)
        return {"quantization_config": made(dequantize=True)} if made and self.named else {}
