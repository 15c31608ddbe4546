import json
from pathlib import Path
from typing import Any

import pytest
from tiny import CHATML

from coherence.engine.artefacts.template import Template
from coherence.vocabulary import Templating

CLOCK = "{{ strftime_now('%Y') }}"


def base(folder: Path, files: dict[str, Any]) -> Template:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    return Template.of(folder)


@pytest.mark.parametrize(
    "files",
    [
        {"chat_template.jinja": CLOCK, "tokenizer_config.json": {"chat_template": CHATML}},
        {"tokenizer_config.json": {"chat_template": CLOCK}},
        {"tokenizer_config.json": {"chat_template": [{"name": "default", "template": CLOCK}]}},
        {"chat_template.json": {"chat_template": CLOCK}},
    ],
)
def test_a_template_is_found_where_transformers_looks_for_it(tmp_path: Path, files: dict[str, Any]) -> None:
    found = base(tmp_path, files)
    assert found.text == CLOCK
    assert found.writes_date(Templating())


@pytest.mark.parametrize(
    "files",
    [{}, {"tokenizer_config.json": "{"}, {"tokenizer_config.json": [1]}, {"generation_config.json": "1"}],
)
def test_where_there_is_none_nothing_is_said(tmp_path: Path, files: dict[str, Any]) -> None:
    assert base(tmp_path, files) == Template("", ())
    assert not base(tmp_path, files).ends_itself


@pytest.mark.parametrize(
    ("files", "ends_itself"),
    [
        ({"tokenizer_config.json": {"eos_token": "<|im_end|>"}}, False),
        ({"tokenizer_config.json": {"eos_token": {"content": "<|im_end|>"}}}, False),
        ({"tokenizer_config.json": {"eos_token": "</s>"}}, True),
        (
            {
                "tokenizer_config.json": {
                    "eos_token": "</s>",
                    "added_tokens_decoder": {"7": {"content": "<|im_end|>"}},
                },
                "generation_config.json": {"eos_token_id": [2, 7]},
            },
            False,
        ),
        (
            {
                "tokenizer.json": {"added_tokens": [{"id": 7, "content": "<|im_end|>"}]},
                "config.json": {"eos_token_id": 7},
            },
            False,
        ),
        ({"config.json": {"eos_token_id": 2}}, True),
    ],
)
def test_a_template_without_the_tokens_that_end_a_reply(
    tmp_path: Path, files: dict[str, Any], ends_itself: bool
) -> None:
    assert base(tmp_path, {"chat_template.jinja": CHATML, **files}).ends_itself is ends_itself


def test_one_that_takes_the_end_from_the_tokenizer(tmp_path: Path) -> None:
    files = {
        "chat_template.jinja": "{{ message.content + eos_token }}",
        "tokenizer_config.json": {"eos_token": "</s>"},
    }
    assert not base(tmp_path, files).ends_itself
