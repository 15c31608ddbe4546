"""From a condition and a probe to token ids: the only place where a chat template is applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from coherence.errors import ArtefactError, first_line
from coherence.plan import Condition
from coherence.vocabulary import Probe, Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]

# Characters of the private use area, which mean nothing to anybody.
_MARK = "\ue0c0"
_SAID = "\ue0c1"


def messages(condition: Condition, probe: Probe) -> list[Message]:
    """Lay out the conversation up to the probe: system turn, the prompts' examples, the question.

    Prompts in the `system` role replace the neutral system text; several are joined in their order.
    Prompts in the `user` role follow every question after a blank line, or are put around it.
    """
    system = [prompt.text for prompt in condition.prompts if prompt.role == "system"]
    turns: list[Message] = [{"role": "system", "content": "\n\n".join(system) or condition.neutral}]
    for prompt in condition.prompts:
        for example in prompt.examples:
            turns.append({"role": "user", "content": _asked(example.user, [prompt])})
            turns.append({"role": "assistant", "content": example.reply})
    return [*turns, {"role": "user", "content": _asked(probe.text, condition.prompts)}]


def _asked(question: str, prompts: Sequence[Prompt]) -> str:
    for prompt in prompts:
        if prompt.role == "user":
            question = prompt.asking(question)
    return question


def render(tokenizer: PreTrainedTokenizerBase, condition: Condition, probe: Probe) -> str:
    """Apply the tokenizer's chat template, thinking off, ending where the assistant begins.

    An ArtefactError when there is none, or when it refuses the conversation (such as its system turn).
    """
    return _templated(tokenizer, messages(condition, probe))


def _templated(
    tokenizer: PreTrainedTokenizerBase, conversation: Sequence[Message], header: bool = True
) -> str:
    name = tokenizer.name_or_path
    if tokenizer.chat_template is None:
        raise ArtefactError(f"the tokenizer of {name!r} has no chat template; expected an instruct model")
    try:
        text = tokenizer.apply_chat_template(
            list(conversation), tokenize=False, add_generation_prompt=header, enable_thinking=False
        )
    except Exception as problem:  # a template is a program, and may raise anything
        said = first_line(problem) if "jinja2" in type(problem).__module__ else repr(problem)
        raise ArtefactError(f"the chat template of {name!r} refuses the conversation: {said}") from problem
    assert isinstance(text, str)
    return text


def turns_after(
    tokenizer: PreTrainedTokenizerBase, condition: Condition, probe: Probe, turns: Sequence[str]
) -> list[tuple[int, ...]]:
    """Token ids between one answer and the next, for each further turn of the user.

    They begin with what ends an answer. An ArtefactError when the template leaves answers out.
    """
    _, *between = _templated(tokenizer, _conversation(condition, probe, turns)).split(_MARK)
    if len(between) != len(turns):
        raise ArtefactError(
            f"the chat template of {tokenizer.name_or_path!r} leaves out earlier answers; "
            "expected one that keeps every turn of a conversation"
        )
    # What was said before stays as it was run: only what follows an answer is read off the template.
    return [encode_text(tokenizer, text) for text in between]


def _conversation(condition: Condition, probe: Probe, turns: Sequence[str]) -> list[Message]:
    conversation = messages(condition, probe)
    for turn in turns:
        conversation.append({"role": "assistant", "content": _MARK})
        conversation.append({"role": "user", "content": _asked(turn, condition.prompts)})
    return conversation


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[int, ...]:
    """Token ids of a text as it stands."""
    ids: Any = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tuple(ids)


def encode(tokenizer: PreTrainedTokenizerBase, condition: Condition, probe: Probe) -> list[int]:
    """Token ids of the prompt. The template writes the special tokens, so none are added here."""
    ids = encode_text(tokenizer, render(tokenizer, condition, probe))
    if tokenizer.bos_token_id is not None and ids[:2] == (tokenizer.bos_token_id,) * 2:
        raise ArtefactError(f"the chat template of {tokenizer.name_or_path!r} writes the start token twice")
    return list(ids)


def user_tokens(
    tokenizer: PreTrainedTokenizerBase, condition: Condition, probe: Probe, turns: Sequence[str] = ()
) -> range:
    """Return where the tokens are of what the user says last: in the ids that `encode` gives for the probe.

    With `turns`, in the last of those that `turns_after` gives. White space around it does not count. An
    ArtefactError when the template rewrites what the user says.
    """
    *before, asked = _conversation(condition, probe, turns)
    said = asked["content"].strip()
    text, marked = (
        _templated(tokenizer, [*before, asked | {"content": content}])
        for content in (asked["content"], f"{_SAID}{said}{_SAID}")
    )
    if turns:
        text, marked = (whole.rpartition(_MARK)[2] for whole in (text, marked))
    # The words themselves may stand elsewhere in the text as well, even in the template's own words.
    head, *rest = marked.split(_SAID)
    first = text.find(said, len(head))
    if not text.startswith(head) or first < 0 or rest[:1] != [said] or not said:
        raise ArtefactError(
            f"the chat template of {tokenizer.name_or_path!r} rewrites what the user says; "
            "expected one that leaves it whole, for the positions user_last and user_mean"
        )
    end = first + len(said)
    offsets = _offsets(tokenizer, text)
    places = [index for index, (start, stop) in enumerate(offsets) if start < end and stop > first]
    return range(places[0], places[-1] + 1)


def turn_last(
    tokenizer: PreTrainedTokenizerBase, condition: Condition, probe: Probe, turns: Sequence[str] = ()
) -> int:
    """Return where the last token is of what the template writes before the header of an answer.

    It is counted as `user_tokens` counts. A token that joins the two belongs to the header. An ArtefactError
    when the template writes something else where no answer is to follow.
    """
    conversation = _conversation(condition, probe, turns)
    text, closed = (_templated(tokenizer, conversation, header) for header in (True, False))
    if turns:
        text, closed = (whole.rpartition(_MARK)[2] for whole in (text, closed))
    ends = [stop for _, stop in _offsets(tokenizer, text) if stop <= len(closed)]
    if not ends or not text.startswith(closed):
        raise ArtefactError(
            f"the chat template of {tokenizer.name_or_path!r} ends otherwise where no answer is to follow; "
            "expected one that only adds the header of an answer, for the position turn_last"
        )
    return len(ends) - 1


def _offsets(tokenizer: PreTrainedTokenizerBase, text: str) -> list[tuple[int, int]]:
    """Return where each token begins and ends in a text."""
    found: Any = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return list(found)


def generation_suffix(
    tokenizer: PreTrainedTokenizerBase, condition: Condition, probe: Probe
) -> tuple[int, ...]:
    """Token ids after the last token of what the user says, up to where the assistant begins.

    An ArtefactError when the template rewrites what the user says.
    """
    after = user_tokens(tokenizer, condition, probe).stop
    return tuple(encode(tokenizer, condition, probe)[after:])
