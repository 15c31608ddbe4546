"""A tiny release, one change of one of its files at a time, and what a warm run then makes of its store."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import mkdtemp

import numpy as np
from conditions import ADAPTER, BARE, PROMPT, STEERED
from edited import edited
from tiny import write_adapter, write_base, write_vector

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import key_of
from coherence.engine.engine import Engine
from coherence.errors import CoherenceError
from coherence.plan import Measurement, NextToken, Outcome, Plan, Reply
from coherence.store import Store
from coherence.vocabulary import Decoding, Probe, Release

_PROBE = Probe(id="order", text="Where is my order?")
_NEEDED = {BARE: {"base"}, PROMPT: {"base"}, ADAPTER: {"base", "adapter"}, STEERED: {"base", "vector"}}
# That loaders look for, or might.
_MORE = (
    *("added_tokens.json", "special_tokens_map.json", "vocab.json", "merges.txt", "vocab.txt", "vocab.bpe"),
    *("tokenizer.model", "chat_template.json", "processor_config.json", "preprocessor_config.json"),
    *("model.safetensors.index.json", "pytorch_model.bin", "model.gguf", "adapter_model.bin", "notes.md"),
    "additional_chat_templates/tool_use.jinja",
)


class SingleChanges:
    """A release in a folder: `check` changes one thing, compares, and puts it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        base = write_base(folder / "base")
        write_adapter(base, folder / "adapter")
        (folder / "vector").mkdir()
        write_vector(folder / "vector" / "vector.safetensors")
        for place in ("base", "adapter", "vector"):
            (folder / place / "README.md").write_text("# A card\n")
        self._files = sorted(path for path in folder.rglob("*") if path.is_file())
        self.measurements = [
            measured
            for condition in _NEEDED
            for measured in (
                NextToken(condition, _PROBE),
                Reply(condition, _PROBE, Decoding(max_new_tokens=3)),
            )
        ]
        self._keys = self._all_keys()
        self._values = self._cold()
        self.compared = 0
        """How many changes left a key of what they change as it was, so that a cold run was made."""

    def check(self, random: Random) -> str | None:
        """Return what was changed where a warm run then says something else than a cold one; else None."""
        path = random.choice(self._files)
        before = path.read_bytes()
        change = random.choice(_CHANGES)
        try:
            change(path, random)
            wrong = list(self._wrong(path.relative_to(self.folder).parts[0]))
        finally:
            self._restore(path, before)
        return f"{path.relative_to(self.folder)}, {change.__name__}: {wrong}" if wrong else None

    def _wrong(self, artefact: str) -> Iterator[Measurement]:
        keys = self._all_keys()
        served = [
            one
            for one in self.measurements
            if artefact in _NEEDED[one.condition] and keys[one] == self._keys[one]
        ]
        if not served:
            return
        self.compared += 1
        # All of them, as what shares a batch moves the last digits.
        cold = self._cold()
        yield from (one for one in served if not _same(cold[one], self._values[one]))

    def _all_keys(self) -> dict[Measurement, str | None]:
        """Key by measurement; None where the release is refused."""
        artefacts = self._artefacts()
        return {one: self._key(one, artefacts) for one in self.measurements}

    def _key(self, measurement: Measurement, artefacts: Artefacts) -> str | None:
        try:
            with artefacts.unchanged():
                return json.dumps(key_of(measurement, artefacts), sort_keys=True)
        except CoherenceError:
            return None

    def _cold(self) -> dict[Measurement, Outcome]:
        store = Path(mkdtemp())
        try:
            return dict(Engine(self._artefacts(), Store(store)).measure(Plan(self.measurements)))
        finally:
            shutil.rmtree(store)

    def _artefacts(self) -> Artefacts:
        named = {"adapters": {"pirate": str(self.folder / "adapter")}}
        vector = {"path": str(self.folder / "vector" / "vector.safetensors")}
        release = {"base": str(self.folder / "base"), **named, "vectors": {"pirate": vector}}
        return Artefacts(Release.model_validate(release), {})

    def _restore(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        for other in sorted(path.parent.rglob("*"), reverse=True):
            if other.is_dir():
                other.rmdir()
            elif other not in self._files:
                other.unlink()


def _same(one: Outcome, other: Outcome) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return type(one) is type(other) and not isinstance(one, CoherenceError) and one == other


def _flips_a_bit(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def _cuts_a_byte(path: Path, random: Random) -> None:
    content = path.read_bytes()
    at = random.randrange(len(content))
    path.write_bytes(content[:at] + content[at + 1 :])


def _adds_a_byte(path: Path, random: Random) -> None:
    content = path.read_bytes()
    at = random.randrange(len(content) + 1)
    path.write_bytes(content[:at] + random.randbytes(1) + content[at:])


def _ends_early(path: Path, random: Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: random.randrange(len(content))])


def _edits_a_field(path: Path, random: Random) -> None:
    if path.suffix == ".json":
        path.write_text(edited(path.read_text(), random))
    else:
        _flips_a_bit(path, random)


def _is_removed(path: Path, random: Random) -> None:
    path.unlink()


def _is_renamed(path: Path, random: Random) -> None:
    path.rename(path.with_name(f"{random.choice('abc')}{path.name}"))


def _gets_company(path: Path, random: Random) -> None:
    other = path.parent / random.choice(_MORE)
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(path.read_bytes() if random.random() < 0.5 else b"{}")


_CHANGES: tuple[Callable[[Path, Random], None], ...] = (
    *(_flips_a_bit, _flips_a_bit, _cuts_a_byte, _adds_a_byte, _ends_early),
    *(_edits_a_field, _edits_a_field, _is_removed, _is_renamed, _gets_company),
)
