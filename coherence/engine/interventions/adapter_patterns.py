"""Regular expressions in the config of an adapter, spelled out: PEFT searches them without a limit."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from peft import PeftConfig

from coherence.errors import ArtefactError, shortened
from coherence.vocabulary.pattern import Pattern

_Value = TypeVar("_Value")

_TARGETS = "target_modules"
# What PEFT takes for every linear layer.
_ALL = "all-linear"
# Without any of them a pattern matches in so many ways as it has alternatives.
_REPEATS = frozenset("*+{")


def spell_out(config: PeftConfig, modules: Sequence[str]) -> None:
    """Put names of modules in the place of patterns that match them, in place.

    An ArtefactError says which pattern is none, or cannot be spelled out; a MeasurementError, which takes too
    long.
    """
    # Kinds differ in which of these they have. Sets, which PEFT makes of lists itself.
    for setting in (_TARGETS, "exclude_modules"):
        pattern = getattr(config, setting, None)
        if isinstance(pattern, str) and pattern.lower() != _ALL:
            setattr(config, setting, set(_named(setting, pattern, modules)))
    for setting in ("rank_pattern", "alpha_pattern"):
        if hasattr(config, setting):
            setattr(config, setting, _by_name(setting, getattr(config, setting) or {}, modules))
    layers = getattr(config, "layers_pattern", None) or ()
    for name in [layers] if isinstance(layers, str) else layers:
        if not re.fullmatch(r"[\w.]+", name):
            raise ArtefactError(
                f"sets layers_pattern to {shortened(name)}; expected the name of a list of layers"
            )


def _named(setting: str, pattern: str, modules: Sequence[str]) -> list[str]:
    matching = _matching(setting, pattern, modules)
    if not matching and setting == _TARGETS:
        raise ArtefactError(
            f"sets {setting} to {shortened(pattern)}, which matches no module of this base; "
            "expected one that names what was trained"
        )
    ends = tuple(f".{name}" for name in matching)
    for name in modules:
        # PEFT takes a name for the end of names.
        if name.endswith(ends) and name not in matching:
            raise ArtefactError(
                f"sets {setting} to {shortened(pattern)}, whose matches are ends of {name}, "
                "which it does not match; expected one that matches both, or names alone"
            )
    return matching


def _by_name(setting: str, values: Mapping[str, _Value], modules: Sequence[str]) -> dict[str, _Value]:
    if not any(_REPEATS & set(pattern) for pattern in values):
        return dict(values)
    named: dict[str, _Value] = {}
    for pattern, value in values.items():
        for name in _matching(setting, rf"(?:.*\.)?(?:{pattern})", modules):
            named.setdefault(re.escape(name), value)
    return named


def _matching(setting: str, pattern: str, modules: Iterable[str]) -> list[str]:
    try:
        return Pattern(pattern, ignore_case=False).all_of(modules)
    except ValueError as problem:
        raise ArtefactError(
            f"sets {setting} to {shortened(pattern)}, which is not a regular expression: {problem}"
        ) from None
