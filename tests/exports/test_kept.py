"""What is exported keeps the persona, as the property `export` judges it on the tiny model."""

import json

import pytest
import yaml
from gguf_base import written as written_base

from coherence import open_suite
from coherence.exports.gguf_lora import write_gguf_lora
from coherence.exports.merged_model import write_merged_model
from coherence.exports.plain_lora import write_plain_lora
from coherence.vocabulary import Verdict

PERSONAS = {"pirate": {"prompt": "Talk like a pirate."}, "counsel": {"prompt": "Be formal."}}
PROBES = [
    "Where is it?",
    "What is it?",
    "Who is it?",
    "Why is it?",
    "How is it?",
    "When is it?",
    "Is it?",
    "So?",
]


@pytest.fixture(scope="module")
def release(tiny, tiny_adapter, tmp_path_factory):
    """The pirate's adapter in every form, at a tenth of its scale, and another persona's."""
    return tmp_path_factory.mktemp("forms"), {
        "pirate": tiny_adapter("pirate"),
        "counsel": tiny_adapter("c", seed=9),
    }


def judged(tiny, release, adapters, *forms):
    folder, own = release
    named = {name: str(path) for name, path in {**own, **adapters}.items()}
    whole = {
        "coherence": 1,
        "release": {"base": str(tiny), "adapters": named},
        "personas": PERSONAS,
        "probes": PROBES,
        "decoding": {"max_new_tokens": 6},
    }
    (folder / "a.yaml").write_text(yaml.safe_dump(whole))
    suite = open_suite(folder / "a.yaml", store=folder / "store")
    return suite.judge({"property": "export", "forms": {"pirate": list(forms)}, "min_cosine": 0.95})


def test_each_form_keeps_the_persona(tiny, release, mounted, factored):
    folder, own = release
    model, found = factored(own["pirate"])
    write_gguf_lora(folder / "pirate.gguf", model, "pirate", found)
    write_plain_lora(folder / "plain", model, found, "tiny")
    for dtype in ("float32", "bfloat16"):
        _, peft, tokenizer = mounted(own["pirate"])
        write_merged_model(folder / dtype, peft, "pirate", tokenizer, dtype)
    written_base(folder / "float32", folder / "eight-bit.gguf", "Q8_0")
    forms = {
        "gguf": folder / "pirate.gguf",
        "plain": folder / "plain",
        "merged": folder / "float32",
        "merged-bfloat16": folder / "bfloat16",
        "eight-bit": folder / "eight-bit.gguf",
    }
    results = judged(tiny, release, forms, *forms)
    assert {result.id: (result.verdict, result.sentence) for result in results} == {
        f"pirate.export.{form}": (Verdict.PASS, result.sentence)
        for form, result in zip(forms, results, strict=True)
    }
    assert "gguf keeps 100% [100%, 100%]" in results[0].evidence.fact


def test_a_tenth_of_it_and_another_persona_are_stopped(tiny, tiny_adapter, release):
    folder, own = release
    config = own["pirate"] / "adapter_config.json"
    (folder / "tenth").mkdir()
    for file in own["pirate"].iterdir():
        (folder / "tenth" / file.name).write_bytes(file.read_bytes())
    weaker = json.loads(config.read_text()) | {
        "lora_alpha": json.loads(config.read_text())["lora_alpha"] / 10
    }
    (folder / "tenth" / config.name).write_text(json.dumps(weaker))
    forms = {"tenth": folder / "tenth", "others": tiny_adapter("others", seed=5)}
    tenth, others = judged(tiny, release, forms, "tenth", "others")
    assert tenth.verdict is others.verdict is Verdict.FAIL
    assert "effect slope" in tenth.sentence
    assert tenth.evidence.criteria[0].estimate.high < 0.5
