import pytest
from hypothesis import given
from hypothesis import strategies as st
from thinkers import CHANNELS, HARMONY, OPENED, THINK, words
from tiny import CHATML
from transformers import PreTrainedTokenizerFast

from coherence.engine.batch.marks import Marks, marks_of
from coherence.engine.model.reasoning import Split, told
from coherence.plan import Reasoning

TAGS, CHANNEL = marks_of(OPENED, "on"), marks_of(HARMONY, "on")
ONE_TOKEN, SEVERAL = words(OPENED, *THINK), words(OPENED)
HARMONIC = words(HARMONY, *CHANNELS)
PROMPT = "<|im_start|>assistant\n"

texts = st.text(st.characters(codec="utf-8", exclude_characters="<>[]|\ufffd"), max_size=30)


def ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def split(
    tokenizer: PreTrainedTokenizerFast, text: str, marks: Marks | None = TAGS, before: str = PROMPT
) -> tuple[Reasoning | None, str]:
    """Say a text token by token."""
    found, said = Split(tokenizer, marks, ids(tokenizer, before)), []
    for token in ids(tokenizer, text):
        said.append(token)
        found.follow(said)
    reasoning = found.reasoning(said)
    return reasoning, str(tokenizer.decode(said[reasoning.tokens if reasoning else 0 :]))


@pytest.mark.parametrize("tokenizer", [ONE_TOKEN, SEVERAL], ids=["one token", "several"])
@pytest.mark.parametrize("opened", ["by the prompt", "by the reply"])
@given(reasoning=texts, answer=texts)
def test_the_answer_is_what_follows(
    tokenizer: PreTrainedTokenizerFast, opened: str, reasoning: str, answer: str
) -> None:
    by_prompt = opened == "by the prompt"
    text = f"{'' if by_prompt else '<think>'}{reasoning}</think>"
    found, after = split(tokenizer, text + answer, before=PROMPT + "<think>\n" if by_prompt else PROMPT)
    assert found is not None
    assert found.closed
    assert (found.text, after.strip()) == (reasoning.strip(), answer.strip())
    assert all(token in ids(tokenizer, text + answer) for token in ids(tokenizer, answer)[1:])


@pytest.mark.parametrize("tokenizer", [ONE_TOKEN, SEVERAL], ids=["one token", "several"])
@given(reasoning=texts)
def test_what_is_never_closed_has_no_answer(tokenizer: PreTrainedTokenizerFast, reasoning: str) -> None:
    for text, before in ((f"<think>{reasoning}", PROMPT), (reasoning, f"{PROMPT}<think>\n")):
        found, after = split(tokenizer, text, before=before)
        assert found == Reasoning(reasoning.strip(), len(ids(tokenizer, text)), closed=False)
        assert after == ""


@given(answer=texts)
def test_what_is_never_opened_is_the_answer(answer: str) -> None:
    # A prompt may open what it closes, or speak of it.
    for before in (PROMPT, f"{PROMPT}<think>\n\n</think>\n\n", f"What is <think>?{PROMPT}"):
        assert split(ONE_TOKEN, answer, before=before)[0] is None
    assert split(ONE_TOKEN, f"<think>{answer}</think>", marks=None)[0] is None


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Aye.",
            "Hm.",
            "Aye.",
        ),
        (
            "<|channel|>analysis<|message|>Hm.<|end|>"
            "<|start|>assistant<|channel|>commentary to=x<|message|>So.<|end|>"
            "<|start|>assistant<|channel|>final<|message|>Aye.",
            "Hm.\nSo.",
            "Aye.",
        ),
        ("<|channel|>final<|message|>Aye.", "", "Aye."),
    ],
)
def test_the_answer_of_channels_is_the_final_one(text: str, reasoning: str, answer: str) -> None:
    found, after = split(HARMONIC, text, CHANNEL, "<|start|>assistant")
    assert found is not None
    assert (found.text, after, found.closed) == (reasoning, answer, True)


def test_the_end_of_a_channel_is_none_of_the_reply() -> None:
    end = HARMONIC.convert_tokens_to_ids("<|end|>")
    found, said = Split(HARMONIC, CHANNEL, ids(HARMONIC, "<|start|>assistant")), []
    for token in ids(HARMONIC, "<|channel|>analysis<|message|>Hm."):
        said.append(token)
        found.follow(said)
    assert found.passes(end)
    assert not found.passes(HARMONIC.convert_tokens_to_ids("<|return|>"))
    for token in ids(HARMONIC, "<|end|><|start|>assistant<|channel|>final<|message|>Aye."):
        said.append(token)
        found.follow(said)
    assert not found.passes(end)


def test_a_tokenizer_without_the_token_passes_none() -> None:
    found = Split(words(CHATML), CHANNEL, ())
    assert not any(found.passes(token) for token in range(len(words(CHATML))))


def test_without_a_word_of_the_suite_a_template_is_told_what_it_always_was() -> None:
    assert told("auto") == {"enable_thinking": False}
    assert told("high") == told("on") | {"reasoning_effort": "high"}
    assert set(told("off").values()) == {False}
