import json
from pathlib import Path
from typing import Any

import pytest

from coherence.engine.interventions.adapter_config import read_config
from coherence.errors import ArtefactError

PLAIN = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}


def written(folder: Path, settings: Any) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def test_a_plain_one_is_read(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, PLAIN)).r == 4


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("r", None, "expected a rank, such as 8"),
        ("r", "4", "expected a rank, such as 8"),
        ("r", True, "expected a rank, such as 8"),
        ("r", 0, "expected a rank, such as 8"),
        ("lora_alpha", None, "expected a number"),
        ("lora_alpha", [8], "expected a number"),
        ("lora_alpha", float("nan"), "expected a number"),
        ("lora_alpha", 10**400, "expected a number"),
        ("rank_pattern", [4], "expected ranks by names of modules"),
        ("rank_pattern", {"q_proj": None}, "expected ranks by names of modules"),
        ("alpha_pattern", {"q_proj": "8"}, "expected numbers by names of modules"),
        ("target_modules", {"q_proj": 1}, "expected names of modules"),
        ("target_modules", [1], "expected names of modules"),
        ("layers_to_transform", ["1"], "expected numbers of layers"),
        ("alora_invocation_tokens", 5, "expected a list of token ids"),
        ("alora_invocation_tokens", [5, -1], "expected a list of token ids"),
    ],
)
def test_values_of_other_types_are_told(tmp_path: Path, setting: str, value: Any, expected: str) -> None:
    with pytest.raises(ArtefactError) as caught:
        read_config(written(tmp_path, PLAIN | {setting: value}))
    assert caught.value.sentence.startswith(f"sets {setting} to ")
    assert caught.value.sentence.endswith(f" in adapter_config.json; {expected}")


@pytest.mark.parametrize("settings", [[], "LORA", 4, None])
def test_what_is_no_object_is_told(tmp_path: Path, settings: Any) -> None:
    with pytest.raises(ArtefactError, match=r"in adapter_config\.json; expected the settings"):
        read_config(written(tmp_path, settings))
