"""What a container holds: arrays that are not read yet, under the names that they have there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from coherence.vocabulary.release import Layers


@dataclass(frozen=True, eq=False)
class Values:
    """An array, read only once its shape is known to fit. `refused` says why its values are no vector's."""

    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]
    refused: str = ""

    @property
    def axes(self) -> tuple[int, ...]:
        """Lengths of its axes; those of length 1, but for the last, say nothing."""
        return (*(length for length in self.shape[:-1] if length != 1), *self.shape[-1:])


# Files of real tools are three deep. A pickle may hold itself, and a name may be all slashes.
DEEPEST = 16

Held = Values | str | int | list["Held"] | Mapping[str, "Held"]


@dataclass(frozen=True)
class Content:
    """What a file holds. `counts` is what the container's numbers of layers count, where its format says."""

    held: Held
    metadata: dict[str, str] = field(default_factory=dict)
    counts: Layers | None = None
    preferred: str | None = None


def floats_only(dtype: object) -> str:
    """Why values of this type are refused."""
    return f"found values of {dtype}, expected floating point"


def nested(flat: Mapping[str, Held]) -> Mapping[str, Held]:
    """Take names such as `answer/layer_14` apart; all stay as they are where one goes on from another."""
    tree: dict[str, Any] = {}
    for name, held in flat.items():
        *outer, last = name.split("/")
        inside = tree
        for part in outer:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                return flat
        if last in inside or len(outer) > DEEPEST:
            return flat
        inside[last] = held
    return tree
