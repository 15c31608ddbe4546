import pytest
from thinkers import HARMONY, OPENED, SWITCHED, V3
from tiny import CHATML

from coherence.engine.batch.marks import Marks, marks_of


@pytest.mark.parametrize(
    ("template", "closes"),
    [
        (OPENED, "</think>"),
        (SWITCHED, "</think>"),
        (V3, "</think>"),
        (HARMONY, "<|channel|>final<|message|>"),
        ("{{ '[THINK]' }}{{ '[/THINK]' }}", "[/THINK]"),
        ("{{ '<seed:think></seed:think>' }}", "</seed:think>"),
        ("{{ '<|START_THINKING|><|END_THINKING|>' }}", "<|END_THINKING|>"),
        ("{{ '<|channel>thought\n<channel|>' }}", "<channel|>"),
    ],
)
def test_a_template_says_how_reasoning_is_marked(template: str, closes: str) -> None:
    found = marks_of(template, "on")
    assert found is not None
    assert found.closes == closes


@pytest.mark.parametrize("thinking", ["auto", "on"])
def test_most_templates_mark_none(thinking: str) -> None:
    assert marks_of(CHATML, thinking) is None  # type: ignore[arg-type]


def test_one_that_is_told_not_to_reason_unasked_is_as_it_was() -> None:
    assert marks_of(SWITCHED, "auto") is None
    assert marks_of(SWITCHED, "off") == marks_of(OPENED, "auto") == Marks("<think>", "</think>")
