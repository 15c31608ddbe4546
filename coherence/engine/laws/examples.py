"""Examples of a law or claim as JSON: read from a person or a file, and kept from one search to the next."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from hypothesis.database import DirectoryBasedExampleDatabase
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, create_model

from coherence.errors import CoherenceError, did_you_mean
from coherence.plan import Condition

Example = Mapping[str, Any]


def name_of(condition: Condition) -> str:
    """Return what a condition is called in examples."""
    adapters = [f"adapter {name}" for name, _ in condition.adapters]
    parts = [*adapters, *(f"vector {steer.vector}" for steer in condition.steers)]
    return " + ".join(parts) or ("prompt" if condition.prompts else "bare")


def written(example: Example) -> str:
    """Write an example as JSON, in ASCII; a tuple and a list are the same."""
    return json.dumps(dict(example))


class Form:
    """What examples of a law look like: `sample` is one of them, and has their keys.

    Probes are known by their ids, conditions by names such as `adapter pirate`.
    """

    def __init__(self, sample: Example, probes: Collection[str], conditions: Collection[str]) -> None:
        self._sample = sample
        probe, condition = _named(probes), _named(conditions)
        kinds = {
            "probe": probe,
            "condition": condition,
            "weight": FiniteFloat,
            "pair": tuple[condition, condition],  # type: ignore[valid-type]
            "weights": tuple[FiniteFloat, FiniteFloat],
            "mates": Annotated[list[tuple[condition, probe]], Field(min_length=1)],  # type: ignore[valid-type]
            "order": Annotated[list[int], AfterValidator(partial(_permuted, len(sample.get("order", ()))))],
        }
        fields: dict[str, Any] = {key: (kinds[key], ...) for key in sample}
        self._model: type[BaseModel] = create_model(
            "Example", __config__=ConfigDict(extra="forbid"), **fields
        )

    def read(self, text: str | bytes) -> Example:
        """Read an example from JSON; a CoherenceError says which key was expected to hold what."""
        try:
            return self._model.model_validate_json(text).model_dump()
        except ValidationError as problem:
            first = problem.errors()[0]
            where = "".join(f"{part}: " for part in first["loc"])
            sentence = _SAID.get(first["type"], first["msg"].removeprefix("Value error, "))
            raise CoherenceError(
                f"{where}{sentence}; expected JSON such as {written(self._sample)}"
            ) from None


_SAID = {"missing": "this key is missing", "extra_forbidden": "there is no such key"}


def _permuted(count: int, order: list[int]) -> list[int]:
    if sorted(order) != list(range(count)):
        raise ValueError(f"found {order}, expected the numbers from 0 to {count - 1} in some order")
    return order


def _named(known: Collection[str]) -> Any:  # noqa: ANN401
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"found {name!r}{did_you_mean(name, known)}")
        return name

    return Annotated[str, AfterValidator(check)]


class Counterexamples:
    """Counterexamples of one search, in Hypothesis's own database in a folder.

    What identifies the search is what its author writes, not what the artefacts hold: an adapter that was
    broken yesterday is tried on yesterday's counterexample.
    """

    def __init__(self, folder: Path, search: Collection[str], form: Form) -> None:
        self._database = DirectoryBasedExampleDatabase(folder)
        self._key = json.dumps(list(search)).encode()
        self._form = form

    def __iter__(self) -> Iterator[Example]:
        """Yield them, the shortest first. Whoever asks for the next one says that the last one is mended.

        It is then deleted, as are those that no longer fit the search.
        """
        for text in sorted(self._database.fetch(self._key), key=lambda text: (len(text), text)):
            with suppress(CoherenceError):
                yield self._form.read(text)
            self._database.delete(self._key, text)

    def keep(self, example: Example) -> None:
        """Keep a counterexample. A folder that cannot be written costs time later, and no verdict."""
        self._database.save(self._key, written(example).encode())
