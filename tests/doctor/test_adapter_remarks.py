"""What of an adapter that fits is said before it is measured."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from coherence.cli import main


def _config(**said: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | said))

    return change


def _beside(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _value(value: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        weights = load_file(file)
        weights[min(weights)][0, 0] = value
        save_file(weights, file)

    return change


OTHER_WORDS = json.dumps({"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "<pad>", "id": 1}]})


@pytest.mark.parametrize(
    ("change", "state", "said"),
    [
        (
            _config(base_model_name_or_path="org/Llama-9"),
            "warn",
            "says that it was trained on org/Llama-9, and the base is",
        ),
        (_beside("chat_template.jinja", "{{ messages }}"), "warn", "a chat template lies beside it"),
        (
            _beside("tokenizer_config.json", '{"chat_template": "{{ messages }}"}'),
            "warn",
            "a chat template lies beside it",
        ),
        (_beside("tokenizer.json", OTHER_WORDS), "warn", "a tokenizer lies beside it with other tokens"),
        (
            _config(r=4, lora_alpha=64),
            "warn",
            "its scale, alpha / r, is 16; the usual one in this release is 2",
        ),
        (
            _config(lora_alpha=32, use_rslora=True),
            "warn",
            "its scale, alpha / sqrt(r), is 16; the usual one in this release is 2",
        ),
        (_value(1e6), "warn", "lora_A.weight has a value of 1e+06; see how it was saved"),
        (_value(float("nan")), "fail", "lora_A.weight has a value of nan"),
        (_value(-float("inf")), "fail", "lora_A.weight has a value of inf"),
    ],
)
def test_what_does_not_go_with_the_release_is_said(looked, tiny_adapter, tmp_path, change, state, said):
    folder = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "odd"))
    change(folder)
    checks = looked(adapter=f"{folder}, mate: {tiny_adapter('mate')}, other: {tiny_adapter('other')}")
    (check,) = [check for check in checks if check.state != "ok"]
    assert (check.state, check.what) == (state, "adapter pirate")
    assert said in str(check)


def test_what_servers_refuse_is_said(looked, tiny_adapter):
    checks = looked(adapter=tiny_adapter("pirate", use_dora=True, r=32))
    warned = [str(check) for check in checks if check.state == "warn"]
    assert "is a DoRA adapter, which vLLM and the converter of llama.cpp refuse" in warned[0]
    assert "start it with --max-lora-rank 32" in warned[1]
    assert len(warned) == 2


def test_the_bases_own_files_beside_an_adapter_are_nothing_to_say(looked, tiny, tiny_adapter, tmp_path):
    folder = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "with-tokenizer"))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (tiny / name).exists():
            shutil.copy(tiny / name, folder)
    assert {check.state for check in looked(adapter=folder)} == {"ok"}


def test_with_strict_a_warning_is_told_by_the_exit_code(capsys):
    # Whether the reference model is here yet or not, one of these is a warning elsewhere and neither fails.
    expected = int("warn" in {line[:4] for line in _lines(capsys, "doctor")})
    assert main(["doctor", "--strict"]) == expected


def _lines(capsys, *arguments: str) -> list[str]:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()
