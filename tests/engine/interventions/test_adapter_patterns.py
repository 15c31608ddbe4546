"""Patterns are spelled out as PEFT would match them, within a time."""

from time import monotonic
from typing import Any

import pytest
from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key

from coherence.engine.interventions.adapter_patterns import spell_out
from coherence.errors import ArtefactError, MeasurementError

PARTS = ("self_attn", "self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
MODULES = ["", "model", "lm_head", *(f"model.layers.{n}.{part}" for n in range(12) for part in PARTS)]
SLOW = r"(a|aa)+[bc]"


def config(**settings: Any) -> LoraConfig:
    return LoraConfig(**({"target_modules": ["q_proj"]} | settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": r".*\.(q|v)_proj"},
        {"target_modules": r"model\.layers\.1\d?\..*_proj|lm_head"},
        {"target_modules": r".*_proj", "exclude_modules": r".*layers\.[0-5]\..*"},
        {"target_modules": r".*_proj", "exclude_modules": "nothing.*"},
        {"target_modules": ["q_proj", "layers.1.mlp.down_proj"]},
        {"target_modules": ["q_proj"], "layers_to_transform": [1, 2], "layers_pattern": "layers"},
    ],
)
def test_the_same_modules_are_adapted(settings: dict[str, Any]) -> None:
    as_written, spelled = config(**settings), config(**settings)
    spell_out(spelled, MODULES)
    matched = [
        [name for name in MODULES if name and bool(check_target_module_exists(one, name))]
        for one in (as_written, spelled)
    ]
    assert matched[0] == matched[1] != []


@pytest.mark.parametrize(
    "ranks",
    [
        {"q_proj": 4, "model.layers.1.self_attn.q_proj": 2},
        {r".*\.layers\.1\d?\..*": 2, "v_proj": 4},
        {r"layers\.[0-3]\.self_attn\.v_proj+": 2},
    ],
)
def test_every_module_has_the_same_rank(ranks: dict[str, int]) -> None:
    spelled = config(rank_pattern=ranks, alpha_pattern=ranks)
    spell_out(spelled, MODULES)
    for name in MODULES[3:]:
        told = ranks.get(get_pattern_key(list(ranks), name))
        for found in (spelled.rank_pattern, spelled.alpha_pattern):
            assert found.get(get_pattern_key(list(found), name)) == told


@pytest.mark.parametrize(
    "settings",
    [{"target_modules": SLOW}, {"exclude_modules": SLOW}, {"rank_pattern": {SLOW: 1}}],
)
def test_one_that_would_run_for_ever_ends_with_a_sentence(settings: dict[str, Any]) -> None:
    started = monotonic()
    with pytest.raises((ArtefactError, MeasurementError), match="takes more than 1 seconds"):
        spell_out(config(**settings), ["a" * 60])
    assert monotonic() - started < 20


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"target_modules": "("},
            "sets target_modules to '\\(', which is not a regular expression: missing \\)",
        ),
        ({"target_modules": "x.*"}, "sets target_modules to 'x.*', which matches no module of this base"),
        ({"layers_pattern": "(a+)+", "layers_to_transform": [1]}, "sets layers_pattern to '\\(a\\+\\)\\+'; "),
    ],
)
def test_what_is_no_pattern_is_told(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArtefactError, match=sentence):
        spell_out(config(**settings), MODULES)
