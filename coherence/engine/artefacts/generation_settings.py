"""What a base ships for decoding in its generation_config.json, and what a suite's own leaves of that."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coherence.engine.model.end_tokens import end_tokens
from coherence.engine.model.folder import CONFIG, is_gguf, json_object
from coherence.errors import ArtefactError
from coherence.vocabulary import Decoding
from coherence.vocabulary.decoding import SHIPPED

_FILE = "generation_config.json"
# What `generate` of transformers takes where a base that samples does not say it.
_OF_TRANSFORMERS = {"temperature": 1.0, "top_k": 50}
# What decides about tokens as well, with the values that do nothing: it is not done here.
_NOT_HERE: Mapping[str, object] = {
    "num_beams": 1,
    "no_repeat_ngram_size": 0,
    "min_length": 0,
    "typical_p": 1.0,
    "guidance_scale": 1.0,
} | dict.fromkeys(
    (
        *("penalty_alpha", "top_h", "epsilon_cutoff", "eta_cutoff", "exponential_decay_length_penalty"),
        *("min_new_tokens", "bad_words_ids", "sequence_bias", "suppress_tokens", "begin_suppress_tokens"),
        *("forced_bos_token_id", "forced_eos_token_id", "watermarking_config", "stop_strings", "dola_layers"),
    )
)


@dataclass(frozen=True)
class GenerationSettings:
    """Settings by name as a file has them. Without a generation_config.json that is config.json."""

    file: str
    written: Mapping[str, Any]

    @classmethod
    def of(cls, folder: Path) -> "GenerationSettings":
        """Read those of a model; a GGUF file has none. An ArtefactError says why they cannot be read."""
        if is_gguf(folder):
            return cls(folder.name, {})
        file = _FILE if (folder / _FILE).exists() else CONFIG
        written = json_object(folder / file)
        end_tokens(written.get("eos_token_id"), file)
        return cls(file, written)

    def applied(self, decoding: Decoding) -> Decoding:
        """Decode as `generate` does by these settings, with the length and the seed of a suite.

        An ArtefactError says which of them cannot be applied.
        """
        for name, value in self._not_here:
            raise ArtefactError(
                f"{self.file} sets {name} to {value!r}, which is not done here; expected a suite that states "
                "its decoding itself"
            )
        stated = {"max_new_tokens": decoding.max_new_tokens, "seed": decoding.seed}
        try:
            return Decoding.model_validate(stated | self._own)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(map(str, first["loc"])) or "its settings"
            raise ArtefactError(f"{self.file}: {where}: {first['msg']}") from problem

    def remark(self, decoding: Decoding) -> str | None:
        """Say which settings are applied to replies and which are not; None where all of them are."""
        if decoding.as_:
            shipped = self.applied(decoding)
            settings = ["drawn" if shipped.temperature else "greedy"]
            settings += [f"{name} {getattr(shipped, name):g}" for name in self._own]
            remark = f"replies are decoded as the base's {self.file} says: {', '.join(settings)}"
            if decoding.samples == 1 or shipped.temperature:
                return remark
            return f"{remark}, so that the {decoding.samples} replies to a probe are one and the same"
        own, elsewhere = self._own, [f"{name} {value}" for name, value in self._not_here]
        left = [f"{name} {value}" for name, value in own.items() if value != getattr(decoding, name)]
        if not left and not elsewhere:
            return None
        here = [name for name in ("eos_token_id", *own) if self._is_applied(name, decoding)]
        advice = "" if elsewhere else "; under `decoding: {as: shipped}` they do"
        return (
            f"replies follow {' and '.join(here) or 'nothing'} of the base's {self.file}, and not "
            f"{', '.join([*left, *elsewhere])}{advice}"
        )

    def _is_applied(self, name: str, decoding: Decoding) -> bool:
        value = self.written.get(name)
        return value is not None and getattr(decoding, name, value) == value

    @property
    def _samples(self) -> bool:
        return self.written.get("do_sample") is True

    @property
    def _own(self) -> dict[str, Any]:
        """What decides about tokens: nothing but the penalty where no token is drawn."""
        names = SHIPPED if self._samples else ("repetition_penalty",)
        written = {name: self.written[name] for name in names if self.written.get(name) is not None}
        return (_OF_TRANSFORMERS if self._samples else {}) | written

    @property
    def _not_here(self) -> Iterator[tuple[str, object]]:
        for name, idle in _NOT_HERE.items():
            if (value := self.written.get(name)) and value != idle:
                yield name, value
