"""What the numbers of layers count, in names, in stacks of rows and in the files of known tools."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from coherence.vocabulary.release import Layers

# More digits than these are no layer of any model.
_NUMBER = r"([0-9]{1,4})"
_NUMBERED = re.compile(rf"(?:(?:model\.)?(?:layers?|blocks?|direction|l|h)[ ._-]?)?{_NUMBER}", re.IGNORECASE)
_POINT = re.compile(rf"resid_(pre|post)\.{_NUMBER}")
_HOOK = re.compile(rf"blocks\.{_NUMBER}\.hook_resid_(pre|post)")
_STREAMS: dict[str, Layers] = {"pre": "block_inputs", "post": "block_outputs"}

# Names that stand side by side in files of tools that hook the outputs of blocks: role vectors, axes and
# capping configurations of safety-research/assistant-axis; steering-vectors; model-organisms-for-EM.
_HOOKED = (
    {"vector", "type", "role"},
    {"axis", "default_mean", "role_mean"},
    {"vectors", "experiments"},
    {"layer_activations"},
    {"question", "answer"},
)


@dataclass(frozen=True)
class Layer:
    """A layer as a file numbers it, and what the number counts, where its name says so."""

    number: int
    counts: Layers | None = None

    @classmethod
    def named(cls, name: str) -> Self | None:
        """Read a name such as `14`, `layer_14`, `model.layers.14` or `blocks.14.hook_resid_post`."""
        if match := _NUMBERED.fullmatch(name):
            return cls(int(match[1]))
        if match := _POINT.fullmatch(name):
            return cls(int(match[2]), _STREAMS[match[1]])
        if match := _HOOK.fullmatch(name):
            return cls(int(match[1]), _STREAMS[match[2]])
        return None

    def depth(self, counts: Layers | None) -> int:
        """LayerRow in a stack of residuals; `counts` where the layer itself does not say what it counts."""
        return self.number + ((self.counts or counts) == "block_outputs")


def known_counts(names: Iterable[str]) -> Layers | None:
    """Return what layers count in a file with these names, if the tool that writes them is known."""
    there = set(names)
    return "block_outputs" if any(known <= there for known in _HOOKED) else None
