"""A folder of a release, and what its files tell of text."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from coherence.engine.artefacts.template import Template
from coherence.engine.model.folder import CONFIG, json_told, tensors, weight_files

_WORDS = "tokenizer.json"


@dataclass(frozen=True)
class ModelFolder:
    """A folder of a base, or of an adapter with files of its base beside it."""

    path: Path

    @cached_property
    def template(self) -> str:
        """Text of its chat template, empty where there is none."""
        return Template.of(self.path).text

    @cached_property
    def words(self) -> dict[str, Any]:
        """Ids by token, of which nothing is known where there is no fast tokenizer."""
        read = json_told(self.path / _WORDS)
        model, added = read.get("model"), read.get("added_tokens")
        vocabulary = model.get("vocab") if isinstance(model, dict) else None
        words = dict(vocabulary) if isinstance(vocabulary, dict) else {}
        for token in added if isinstance(added, list) else ():
            if isinstance(token, dict) and isinstance(token.get("content"), str):
                words[token["content"]] = token.get("id")
        return words

    def has_words_of(self, other: "ModelFolder") -> bool:
        """Whether the files of both tokenizers are the same, byte by byte."""
        own, others = self.path / _WORDS, other.path / _WORDS
        if not (own.is_file() and others.is_file()) or own.stat().st_size != others.stat().st_size:
            return False
        return own.read_bytes() == others.read_bytes()

    @cached_property
    def family(self) -> str | None:
        """What its config calls the family of the model, or of the part of it that reads and writes text."""
        config = json_told(self.path / CONFIG)
        text = config.get("text_config")
        kind = (text if isinstance(text, dict) else config).get("model_type", config.get("model_type"))
        return kind if isinstance(kind, str) else None

    @cached_property
    def calls_itself(self) -> str | None:
        """What its config says that it was saved from."""
        name = json_told(self.path / CONFIG).get("_name_or_path")
        return name if isinstance(name, str) and name else None

    @cached_property
    def has_a_head(self) -> bool:
        """Whether its weights hold a head of their own, and not only the embeddings that it is tied to."""
        files = weight_files(self.path)
        held = (tensors(path) for path in files if path.suffix == ".safetensors")
        return files[0].suffix == ".bin" or any(
            name.endswith("lm_head.weight") for names in held for name in names
        )
