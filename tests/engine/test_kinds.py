"""Every kind of adapter says and is what PEFT's own model under it says and is, among rows of other kinds."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kinds import ALL, as_in_peft, saved
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from worlds.plain import apart, between, prompt

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.plan import (
    Answer,
    Condition,
    Likelihood,
    Measurement,
    NextToken,
    Outcome,
    Plan,
    Reading,
    Reply,
    Turn,
)
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe

TOLERANCE = 1e-4  # float32, relative to the largest value
GREEDY = Decoding(max_new_tokens=8)
PROBES = [Probe(id="short", text="Why?"), Probe(id="long", text="Where is my order? The app keeps crashing.")]
NEUTRAL = "You are a helpful assistant."

Measured = Callable[[Path], dict[Measurement, Outcome]]

pytestmark = pytest.mark.filterwarnings("ignore")


class Plain:
    """An adapter in PEFT's own model, one text at a time."""

    def __init__(self, base: Path, folder: Path) -> None:
        self._model = as_in_peft(base, folder)
        self.words: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)

    def prompt(self, probe: Probe) -> list[int]:
        return prompt(self.words, NEUTRAL, probe.text)

    def reply(self, ids: list[int]) -> list[int]:
        given = torch.tensor([ids])
        with torch.inference_mode():
            said = self._model.generate(
                input_ids=given,
                attention_mask=torch.ones_like(given),
                max_new_tokens=GREEDY.max_new_tokens,
                do_sample=False,
                pad_token_id=self.words.pad_token_id,
            )[0].tolist()[len(ids) :]
        return said[: said.index(self.words.eos_token_id)] if self.words.eos_token_id in said else said

    def read(self, ids: list[int]) -> tuple[Tensor, Tensor]:
        """Residuals [blocks, tokens, width], but for the last, which transformers norms, and logits."""
        with torch.inference_mode():
            found = self._model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        # What stands before the text is not its own.
        return torch.cat(found.hidden_states[:-1])[:, -len(ids) :], found.logits[0, -len(ids) :]


@pytest.fixture
def measured(
    tiny: Path, tiny_adapter: Callable[..., Path], artefacts: Callable[..., Artefacts], store: Store
) -> Measured:
    """Measure an adapter in one plan with the base, plain LoRA, and both of them together."""

    def run(folder: Path) -> dict[Measurement, Outcome]:
        release = artefacts(adapters={"kind": folder, "lora": tiny_adapter("lora")})
        plan = [one for adapters in ASKED for probe in PROBES for one in wanted(adapters, probe)]
        plan += [*TALK.conversation, *map(mean_of, TALK.conversation)]
        return Engine(release, store).measure(Plan(plan))

    return run


ASKED = [(), (("lora", 1.0),), (("kind", 1.0),)]


TALK = Reply(Condition(NEUTRAL, adapters=ASKED[-1]), PROBES[1], GREEDY, (Turn("Why is that?"),))


def mean_of(reply: Reply) -> Reading:
    return Reading(reply.condition, reply.probe, Position.RESPONSE_MEAN, reply)


def wanted(adapters: tuple[tuple[str, float], ...], probe: Probe) -> list[Measurement]:
    condition = Condition(NEUTRAL, adapters=adapters)
    reply = Reply(condition, probe, GREEDY)
    return [
        reply,
        Reading(condition, probe, Position.PROMPT_LAST),
        Reading(condition, probe, Position.RESPONSE_MEAN, reply),
        NextToken(condition, probe),
        Likelihood(condition, probe, reply),
    ]


@pytest.mark.parametrize("kind", ALL)
def test_a_kind_among_others_is_what_it_is_in_peft(
    tiny: Path,
    tiny_adapter: Callable[..., Path],
    measured: Measured,
    tmp_path: Path,
    kind: str,
) -> None:
    folder = saved(kind, tiny, tmp_path / "kind")
    found = measured(folder)
    for adapters, plain in [
        ((("kind", 1.0),), Plain(tiny, folder)),
        ((("lora", 1.0),), Plain(tiny, tiny_adapter("lora"))),
    ]:
        for probe in PROBES:
            assert_as_in_peft(found, plain, adapters, probe)


def assert_as_in_peft(
    found: dict[Measurement, Outcome], plain: Plain, adapters: tuple[tuple[str, float], ...], probe: Probe
) -> None:
    """Reply, residuals, next token and likelihood are those of PEFT's own model."""
    reply, prompt_last, mean, following, likelihood = wanted(adapters, probe)
    ids = plain.prompt(probe)
    said = plain.reply(ids)
    answer = found[reply]
    assert isinstance(answer, Answer)
    assert list(answer.ids) == said
    residuals, logits = plain.read(ids + said)
    end = len(ids)
    assert apart(found[prompt_last][:-1], residuals[:, end - 1]) < TOLERANCE
    assert apart(found[mean][:-1], residuals[:, end:].mean(dim=1)) < TOLERANCE
    log_probs = logits.log_softmax(-1)
    assert apart(found[following], log_probs[end - 1]) < TOLERANCE
    likely = log_probs[end - 1 : -1].gather(1, torch.tensor(said)[:, None])[:, 0]
    assert apart(found[likelihood], likely) < TOLERANCE


def test_activated_lora_begins_anew_with_every_turn(tiny: Path, measured: Measured, tmp_path: Path) -> None:
    folder = saved("activated lora", tiny, tmp_path / "kind")
    plain, found = Plain(tiny, folder), measured(folder)
    begun, whole = TALK.conversation
    ids = plain.prompt(TALK.probe)
    for reply in (begun, whole):
        answer = found[reply]
        assert isinstance(answer, Answer)
        # PEFT reads all of it again, earlier answers by the base.
        spoken = plain.reply(ids)
        assert list(answer.ids) == spoken
        residuals, _ = plain.read(ids + spoken)
        assert apart(found[mean_of(reply)][:-1], residuals[:, len(ids) :].mean(dim=1)) < TOLERANCE
        ids = [*ids, *spoken, *between(plain.words, TALK.turns[0].text)]
