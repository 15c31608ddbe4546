"""The beginning of a turn of the user, at the end of what a model says."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from coherence.engine.model.turn_beginning import TurnBeginning, header_in


@pytest.fixture
def words(tiny: Path) -> PreTrainedTokenizerBase:
    words: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(tiny)
    return words


def test_tokens_of_its_own_are_looked_for_as_they_are(words: PreTrainedTokenizerBase) -> None:
    beginning = TurnBeginning(words, (1, 7))
    assert beginning.longest == 2
    assert [beginning.at_end_of(said) for said in ([], [7], [5, 1], [5, 1, 7], [1, 7, 5])] == [0, 0, 0, 2, 0]


@pytest.mark.parametrize("before", ["", "Aye.", "Aye.\n", "It is [IN"])
def test_a_header_is_looked_for_in_the_text(words: PreTrainedTokenizerBase, before: str) -> None:
    beginning = TurnBeginning(words, header="[INST]")
    ids = words(f"{before}[INST] And?", add_special_tokens=False)["input_ids"]
    spoken, count = next(
        (ids[:end], count) for end in range(len(ids) + 1) if (count := beginning.at_end_of(ids[:end]))
    )
    assert count <= beginning.longest
    assert "[INST]" in words.decode(spoken[-count:])
    assert "[INST]" not in words.decode(spoken[-count + 1 :] if count > 1 else [])
    assert words.decode(spoken[:-count]).strip() in (before.strip(), before.strip()[:-1])


def test_a_template_without_a_known_header_begins_no_turn(words: PreTrainedTokenizerBase) -> None:
    assert header_in("Q: {{ message.content }}") == ""
    assert TurnBeginning(words).at_end_of([1, 7]) == 0
