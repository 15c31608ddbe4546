"""From a condition and a probe to token ids: the only place where a chat template is applied."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property, partial
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from coherence.engine.batch.marks import Marks, marks_of
from coherence.engine.model.bounded_call import BoundedCall, StoppedError
from coherence.engine.model.clock import pinned
from coherence.engine.model.reasoning import told
from coherence.engine.model.turn_beginning import header_in
from coherence.errors import ArtefactError, MeasurementError, first_line
from coherence.plan import NEUTRAL, Condition
from coherence.served.dialect import Conversation
from coherence.vocabulary import Probe, Prompt, Templating, Thinking
from coherence.vocabulary.templating import AS_IT_IS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]

# Characters of the private use area, which mean nothing to anybody.
_MARK = "\ue0c0"
_SAID = "\ue0c1"
_FIRST_OF_MANY = 0xE100


def messages(condition: Condition, probe: Probe) -> list[Message]:
    """Lay out the conversation up to the probe: system turn, the prompts' examples, the question.

    Prompts in the `system` role replace the neutral system text; several are joined in their order. Where
    there is neither, there is no system turn. Prompts in the `user` role follow every question after a blank
    line, or are put around it.
    """
    system = "\n\n".join(prompt.text for prompt in condition.prompts if prompt.role == "system")
    system_turn = system or condition.neutral
    turns: list[Message] = [] if system_turn is None else [{"role": "system", "content": system_turn}]
    for prompt in condition.prompts:
        for example in prompt.examples:
            turns.append({"role": "user", "content": _user_turn(example.user, [prompt])})
            turns.append({"role": "assistant", "content": example.reply})
    return [*turns, {"role": "user", "content": _user_turn(probe.text, condition.prompts)}]


def folded(conversation: Sequence[Message]) -> list[Message]:
    """Put the text of a system turn into the first turn of the user, before a blank line."""
    first, *others = conversation
    if first["role"] != "system":
        return [first, *others]
    question, *later = others
    parts = (turn["content"] for turn in (first, question))
    return [question | {"content": "\n\n".join(filter(None, parts))}, *later]


def _user_turn(question: str, prompts: Sequence[Prompt]) -> str:
    for prompt in prompts:
        if prompt.role == "user":
            question = prompt.asking(question)
    return question


class Ends(NamedTuple):
    """The token by which a chat template ends an answer, and those by which it begins a turn of the user.

    None where it writes no token of its own there. `header` is the text that it begins a turn by instead of
    tokens, if that is one of the known `HEADERS`.
    """

    answer: int | None = None
    turn: tuple[int, ...] = ()
    header: str = ""


class Chat:
    """A tokenizer with its chat template, which is told what a suite says of templates."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, templating: Templating = AS_IT_IS) -> None:
        self._tokenizer = tokenizer
        self._templating = templating
        self._name = f"the chat template of {tokenizer.name_or_path!r}"
        self._rendered = BoundedCall(partial(_rendered, tokenizer))
        self._told: dict[int, int] = {}
        self._switches: dict[tuple[Thinking, Thinking], bool] = {}

    def under(self, templating: Templating) -> Chat:
        """Return the same tokenizer, told what a suite says: its template is run in the same process."""
        chat = Chat(self._tokenizer, templating)
        chat._rendered = self._rendered
        return chat

    def render(self, condition: Condition, probe: Probe) -> str:
        """Apply the template, told what the condition says of thinking, ending where the assistant begins.

        An ArtefactError when there is none, when it refuses the conversation, leaves a part of it out, or
        cannot be told that.
        """
        conversation = messages(condition, probe)
        self._require_switch(condition.thinking)
        self._require_said(conversation, condition.thinking)
        return self._templated(conversation, condition.thinking)

    def encode(self, condition: Condition, probe: Probe) -> list[int]:
        """Token ids of the prompt. The template writes the special tokens, so none are added here.

        A MeasurementError when another prompt of the probe, which says something else, has the same ids.
        """
        text = self.render(condition, probe)
        ids = self._prompt(text)
        self._require_told_apart("tokenizer", probe, ids, text)
        conversation = messages(condition, probe)
        # Where there is no such turn, a template may write for a default what others say themselves.
        roles = tuple(turn["role"] for turn in conversation)
        contents = "\n".join(turn["content"] for turn in conversation)
        self._require_told_apart("chat template", probe, (ids, roles), contents)
        return list(ids)

    def conversation(self, condition: Condition, probe: Probe) -> Conversation:
        """Return what a server is sent, so that it writes what `render` does: nothing is told of the day."""
        whole = messages(condition, probe)
        turned = whole[0]["role"] == "system"
        fold = turned and (self._templating.fold or self.refuses_system)
        return Conversation(tuple(folded(whole) if fold else whole), told(condition.thinking))

    def spelled(self, ids: Sequence[int]) -> str:
        """Return the text that token ids spell, special tokens among it."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def calibrate(self, probe: Probe) -> list[int]:
        """Token ids of a question that belongs to the base: whatever becomes of the neutral system turn."""
        return list(self._prompt(self._templated(messages(Condition(NEUTRAL), probe), "auto")))

    def turns_after(self, condition: Condition, probe: Probe, turns: Sequence[str]) -> list[tuple[int, ...]]:
        """Token ids between one answer and the next, for each further turn of the user.

        They begin with what ends an answer. An ArtefactError when the template leaves a turn out.
        """
        conversation = _conversation(condition, probe, turns)
        self._require_said(conversation, condition.thinking)
        _, *between = self._templated(conversation, condition.thinking).split(_MARK)
        # What was said before stays as it was run: only what follows an answer is read off the template.
        return [self.encode_text(text) for text in between]

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Token ids of a text as it stands."""
        ids: Any = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tuple(ids)

    def user_tokens(self, condition: Condition, probe: Probe, turns: Sequence[str] = ()) -> range:
        """Return where the tokens are of what the user says last: in the ids that `encode` gives for a probe.

        With `turns`, in the last of those that `turns_after` gives. White space around it does not count, nor
        does a system turn that is folded into it. An ArtefactError when the template rewrites what the user
        says.
        """
        *before, last = _conversation(condition, probe, turns)
        content = last["content"].strip()
        text, marked = (
            self._templated([*before, last | {"content": content}], condition.thinking)
            for content in (last["content"], f"{_SAID}{content}{_SAID}")
        )
        if turns:
            text, marked = (whole.rpartition(_MARK)[2] for whole in (text, marked))
        # The words themselves may stand elsewhere in the text as well, even in the template's own words.
        head, *rest = marked.split(_SAID)
        first = text.find(content, len(head))
        if not text.startswith(head) or first < 0 or rest[:1] != [content] or not content:
            raise ArtefactError(
                f"{self._name} rewrites what the user says; "
                "expected one that leaves it whole, for the positions user_last and user_mean"
            )
        end = first + len(content)
        offsets = self._offsets(text)
        places = [index for index, (start, stop) in enumerate(offsets) if start < end and stop > first]
        return range(places[0], places[-1] + 1)

    def turn_last(self, condition: Condition, probe: Probe, turns: Sequence[str] = ()) -> int:
        """Return where the last token is of what the template writes before the header of an answer.

        It is counted as `user_tokens` counts. A token that joins the two belongs to the header. An
        ArtefactError when the template writes something else where no answer is to follow.
        """
        conversation = _conversation(condition, probe, turns)
        text, closed = (self._templated(conversation, condition.thinking, header) for header in (True, False))
        if turns:
            text, closed = (whole.rpartition(_MARK)[2] for whole in (text, closed))
        ends = [stop for _, stop in self._offsets(text) if stop <= len(closed)]
        if not ends or not text.startswith(closed):
            raise ArtefactError(
                f"{self._name} ends otherwise where no answer is to follow; "
                "expected one that only adds the header of an answer, for the position turn_last"
            )
        return len(ends) - 1

    def generation_suffix(self, condition: Condition, probe: Probe) -> tuple[int, ...]:
        """Token ids after the last token of what the user says, up to where the assistant begins.

        An ArtefactError when the template rewrites what the user says.
        """
        after = self.user_tokens(condition, probe).stop
        return tuple(self.encode(condition, probe)[after:])

    @cached_property
    def refuses_system(self) -> bool:
        """Whether the template refuses a conversation for its system turn."""
        question = {"role": "user", "content": "Why?"}
        return self._refuses([{"role": "system", "content": NEUTRAL}, question]) and not self._refuses(
            [question]
        )

    @cached_property
    def ends(self) -> Ends:
        """How the template ends an answer, and what it begins a turn of the user with.

        Where it ends the last answer otherwise than those before, as that of gpt-oss does, the last one's end
        is what a model says: those before may come before more of an answer, and tell no turn's beginning.
        """
        question, answer = ({"role": role, "content": _MARK} for role in ("user", "assistant"))
        try:
            closed = self._templated([question, answer], "auto", header=False)
            going_on = self._templated([question, answer, question | {"content": _SAID}], "auto")
        except ArtefactError:
            return Ends()
        last, earlier = (
            self.encode_text(text.rpartition(_MARK)[2].partition(_SAID)[0]) for text in (closed, going_on)
        )
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(last, earlier, strict=False)))
        if last and not same:
            return Ends(next(iter(self._special(last[:1])), None))
        turn = self._special(earlier[same:])
        header = "" if turn else header_in(self.spelled(earlier[same:]))
        return Ends(next(iter(self._special(earlier[:same])), None), turn, header)

    def marks(self, thinking: Thinking) -> Marks | None:
        """Return how replies set their reasoning apart; None where they are answers as a whole."""
        if self._tokenizer.chat_template is None:
            return None
        return marks_of(self._tokenizer.get_chat_template(), thinking)

    def _refuses(self, conversation: Sequence[Message]) -> bool:
        try:
            self._applied(conversation, "auto", header=True)
        except ArtefactError:
            return True
        return False

    def _special(self, ids: Sequence[int]) -> tuple[int, ...]:
        """Leave out what comes before the first token that is no text, and white space at the end."""
        special = self._tokenizer.added_tokens_decoder
        special_ids = list(dropwhile(lambda token: token not in special, ids))
        while special_ids and not str(self._tokenizer.decode(special_ids[-1:])).strip():
            special_ids.pop()
        return tuple(special_ids)

    def _prompt(self, text: str) -> tuple[int, ...]:
        ids, start = self.encode_text(text), self._tokenizer.bos_token_id
        if start is not None and ids[:2] == (start,) * 2:
            raise ArtefactError(f"{self._name} writes the start token twice")
        return ids

    def _require_told_apart(self, by: str, probe: Probe, prompt: Hashable, text: str) -> None:
        """Refuse a prompt that has come of another text before: white space apart, it said something else."""
        # By hashes, as all prompts of a run go through here.
        meaning = hash(" ".join(text.split()))
        if self._told.setdefault(hash((probe, prompt)), meaning) != meaning:
            raise MeasurementError(
                f"two conditions that say different things give the same tokens for probe {probe.id!r}; "
                f"expected a {by} that tells them apart: {self._tokenizer.name_or_path!r}"
            )

    def _require_switch(self, thinking: Thinking) -> None:
        """Refuse a template that says the same whatever it is told: reasoning would be there or not."""
        if thinking == "auto":
            return
        switched, effort = (self._depends(("off", "on")), self._depends(("low", "high")))
        of_effort = thinking not in ("off", "on")
        if effort if of_effort else switched:
            return
        others = [name for name, there in (("off or on", switched), ("low, medium or high", effort)) if there]
        raise ArtefactError(
            f"{self._name} has no switch for `thinking: {thinking}`: it writes the same with and without; "
            f"expected {', '.join(['auto', *others])}"
        )

    def _depends(self, either: tuple[Thinking, Thinking]) -> bool:
        """Whether the template writes something else when it is told one or the other."""
        if either not in self._switches:
            question = [{"role": "user", "content": "Why?"}]
            one, other = (self._templated(question, thinking) for thinking in either)
            self._switches[either] = one != other
        return self._switches[either]

    def _require_said(self, conversation: Sequence[Message], thinking: Thinking) -> None:
        """Refuse a template that leaves out a turn: what it says would be measured as if it had been said.

        Reasoning in earlier answers may be left out, and stands before what is looked for.
        """
        marks = [chr(_FIRST_OF_MANY + place) for place in range(len(conversation))]
        marked = [
            turn | {"content": turn["content"] + mark} for turn, mark in zip(conversation, marks, strict=True)
        ]
        text = self._templated(marked, thinking)
        for turn, mark in zip(conversation, marks, strict=True):
            if mark not in text and turn["content"].strip():
                raise ArtefactError(f"{self._name} leaves out {_LEFT_OUT[turn['role']]}")

    def _templated(self, conversation: Sequence[Message], thinking: Thinking, header: bool = True) -> str:
        turned = conversation[0]["role"] == "system"
        fold = turned and (self._templating.fold or self.refuses_system)
        return self._applied(folded(conversation) if fold else conversation, thinking, header)

    def _applied(self, conversation: Sequence[Message], thinking: Thinking, header: bool) -> str:
        tokenizer = self._tokenizer
        if tokenizer.chat_template is None:
            raise ArtefactError(
                f"the tokenizer of {tokenizer.name_or_path!r} has no chat template; "
                "expected an instruct model"
            )
        try:
            template, dated = pinned(tokenizer.get_chat_template(), self._templating)
            text, refusal = self._rendered(list(conversation), template, header, told(thinking) | dated)
        except (ValueError, StoppedError) as problem:
            sentence = f"{self._name} {problem}"
            raise ArtefactError(
                f"{sentence}; expected one that only writes the conversation out"
            ) from problem
        if refusal:
            raise ArtefactError(f"{self._name} refuses the conversation: {refusal}")
        return str(text)

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        """Return where each token begins and ends in a text."""
        encoding: Any = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return list(encoding["offset_mapping"])


def _rendered(
    tokenizer: PreTrainedTokenizerBase,
    conversation: list[Message],
    template: str,
    header: bool,
    switches: dict[str, Any],
) -> tuple[str, str]:
    """Return what a template makes of a conversation, and why it refuses it; one of them is empty."""
    try:
        text = tokenizer.apply_chat_template(
            conversation,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=header,
            **switches,
        )
    except MemoryError:
        raise
    except Exception as problem:  # a template is a program, and may raise anything
        return "", first_line(problem) if "jinja2" in type(problem).__module__ else repr(problem)
    return str(text), ""


_LEFT_OUT = {
    "system": "the system turn; expected one that keeps it, or `system: fold` in the suite, which puts its "
    "text into the first turn of the user",
    "assistant": "earlier answers; expected one that keeps every turn of a conversation",
    "user": "what the user says; expected one that keeps every turn of a conversation",
}


def _conversation(condition: Condition, probe: Probe, turns: Sequence[str]) -> list[Message]:
    conversation = messages(condition, probe)
    for turn in turns:
        conversation.append({"role": "assistant", "content": _MARK})
        conversation.append({"role": "user", "content": _user_turn(turn, condition.prompts)})
    return conversation
