from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig
from worlds.plain import apart

from coherence.engine.batch.budget import Budget
from coherence.engine.batch.marks import Marks
from coherence.engine.batch.rows import (
    Arrangement,
    AxisCap,
    Continuation,
    Exchange,
    Mean,
    Patched,
    Row,
    RowCap,
    Span,
)
from coherence.engine.model.chat import Ends
from coherence.engine.model.forward import run
from coherence.engine.model.generation import named_ends, stop_tokens
from coherence.engine.model.host import Host
from coherence.errors import MeasurementError
from coherence.plan import Answer
from coherence.vocabulary import Decoding, Part, Tokens

WIDTH, LIMIT, DEPTH = 32, 12, 4
TOLERANCE = 1e-5  # float32, relative to the largest value of a reading
GREEDY, SAMPLED = Decoding(max_new_tokens=LIMIT), Decoding(max_new_tokens=LIMIT, temperature=1.0, seed=3)
FILTERED = Decoding(
    max_new_tokens=LIMIT, temperature=1.5, seed=3, top_k=40, top_p=0.9, min_p=0.01, repetition_penalty=1.3
)
STEM = (250, 11, 12)
ENDS = [(5, 9, 40, 41, 77), (7, 8), (60, 3, 17), (100, 200, 300, 20, 21, 22, 23), (44,), (9, 9, 9, 31)]
PROMPTS = [STEM + end for end in ENDS]
PIRATE = (("pirate", 1.0),)


def delta(seed: int) -> torch.Tensor:
    return 2 * torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def asked(decoding: Decoding = GREEDY) -> list[Row]:
    """Prompts of many lengths, bare, steered and under an adapter; what is asked is named by its place."""
    bare = [Row(ids, label=str(ids), group="bare") for ids in PROMPTS]
    steered = [
        Row(ids, deltas={index % 5: delta(index)}, label="steered") for index, ids in enumerate(PROMPTS)
    ]
    adapted = [Row(ids, PIRATE, label="adapter", group="adapter") for ids in PROMPTS[:3]]
    rows = [*bare, *steered, *adapted]
    return [
        replace(row, continuations=(Continuation(decoding, (Exchange(name),)),))
        for name, row in enumerate(rows)
    ]


def answers(host: Host, rows: Iterable[Row]) -> dict[Hashable, Any]:
    """What the rows want, by name; no token counts as an attention sink."""
    return dict(run(host, list(rows), torch.full((DEPTH + 1,), torch.inf), Budget(pytest.fail)))


def name_of(row: Row) -> Any:
    return row.continuations[0].turns[0].reply


@pytest.fixture
def ready(either: Host, tiny_adapter: Callable[..., Path]) -> Host:
    """A host whose random model ends its replies early, at tokens that it likes."""
    host = either
    host.mount("pirate", tiny_adapter("pirate"))
    likes = [naive(host, row)[index] for index, row in enumerate(asked()[:3], start=1)]
    host.model.generation_config.eos_token_id = [host.tokenizer.eos_token_id, *likes]
    return host


def naive(host: Host, row: Row, turn: tuple[int, ...] = ()) -> list[int]:
    """Read everything again for every token, one row at a time, its adapters switched by PEFT."""
    ids: list[int] = []
    for _ in range(row.continuations[0].decoding.max_new_tokens):
        with host.switched(row.adapters), host.steered(row.deltas):
            logits = host.model(input_ids=torch.tensor([[*row.ids, *ids]]), use_cache=False).logits
        token = int(logits[0, -1].argmax())
        if token in stop_tokens(host):
            break
        ids.append(token)
        if turn and tuple(ids[-len(turn) :]) == turn:
            return ids[: -len(turn)]
    return ids


def said(host: Host, ids: list[int]) -> Answer:
    return Answer(str(host.tokenizer.decode(ids, skip_special_tokens=True)).strip(), tuple(ids))


def test_replies_are_those_of_reading_everything_again(ready: Host) -> None:
    rows = asked()
    expected = {name_of(row): naive(ready, row) for row in rows}
    assert answers(ready, rows) == {name: said(ready, ids) for name, ids in expected.items()}
    assert len({len(ids) for ids in expected.values()}) > 3, "rows must end at different times"
    assert any(len(ids) == LIMIT for ids in expected.values())


@pytest.mark.parametrize("plainer", [Arrangement.REREAD, Arrangement.ALONE])
def test_however_rows_are_arranged_the_same_is_said_and_heard(
    host: Host, tiny_adapter: Callable[..., Path], plainer: Arrangement
) -> None:
    host.mount("pirate", tiny_adapter("pirate"))
    axis = delta(7) / delta(7).norm()
    talks = [
        Row(PROMPTS[0], PIRATE, label="adapter"),
        Row(PROMPTS[1], deltas={2: delta(1)}, label="steered"),
        Row(PROMPTS[2], patch=Patched(3, {1: delta(2)}), label="patched"),
        Row(PROMPTS[3], capped=RowCap({2: AxisCap(axis, -1.0)}, Tokens.ASSISTANT), label="capped"),
    ]
    rows = [
        replace(
            row,
            spans={f"{row.label} prompt": Span(1, 4, 3)},
            log_probs=f"{row.label} next",
            continuations=tuple(
                Continuation(
                    decoding,
                    (
                        Exchange((row.label, way, 1), {(row.label, way, "mean 1"): Mean(DEPTH)}),
                        Exchange((row.label, way, 2), {(row.label, way, "mean 2"): Mean(2)}, before=(17, 5)),
                    ),
                )
                for way, decoding in enumerate([GREEDY, SAMPLED])
            ),
        )
        for row in talks
    ]
    expected = answers(host, rows)
    host.packs, host.unpacked = 0, plainer
    found = answers(host, rows)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, Answer):
            assert found[name] == value
        else:
            assert float((found[name] - value).abs().max() / value.abs().max()) < TOLERANCE


def test_bare_replies_are_those_of_transformers(ready: Host) -> None:
    rows = asked()[: len(PROMPTS)]
    config = GenerationConfig(
        max_new_tokens=LIMIT, do_sample=False, eos_token_id=sorted(stop_tokens(ready)), pad_token_id=ready.pad
    )
    found = answers(ready, rows)
    for row in rows:
        with ready.switched(()):
            whole = ready.model.generate(torch.tensor([row.ids]), generation_config=config)[0]
        ids = [token for token in whole[len(row.ids) :].tolist() if token not in stop_tokens(ready)]
        assert found[name_of(row)] == said(ready, ids)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(data=st.data(), decoding=st.sampled_from([GREEDY, SAMPLED, FILTERED]))
def test_a_reply_does_not_depend_on_its_batch_mates(
    ready: Host, data: st.DataObject, decoding: Decoding
) -> None:
    rows = asked(decoding)
    some = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=6, unique_by=id))
    together = answers(ready, some)
    for row in some:
        assert answers(ready, [row]) == {name_of(row): together[name_of(row)]}


def test_a_sample_depends_on_its_seed_and_its_prompt_alone(host: Host) -> None:
    def sampled(seed: int) -> list[Answer]:
        rows = asked(Decoding(max_new_tokens=LIMIT, temperature=1.0, seed=seed))[: len(PROMPTS)]
        found = answers(host, rows)
        return [found[name_of(row)] for row in rows]

    assert sampled(1) == sampled(1)
    assert sampled(1) != sampled(2)
    assert len(set(sampled(1))) == len(PROMPTS)


def test_several_replies_of_one_prompt_come_from_one_prefill(ready: Host) -> None:
    ids = PROMPTS[3]
    decodings = [GREEDY, *(replace_seed(seed) for seed in range(4))]
    wanted = tuple(
        Continuation(decoding, (Exchange(index, {(index,): Mean(DEPTH)}),))
        for index, decoding in enumerate(decodings)
    )
    mate = Row(PROMPTS[1], continuations=(Continuation(GREEDY, (Exchange("mate"),)),))
    run_of: list[int] = []
    handle = ready.blocks[0].register_forward_pre_hook(
        lambda module, args, kwargs: run_of.append((args or (kwargs["hidden_states"],))[0][..., 0].numel()),
        with_kwargs=True,
    )
    together = answers(ready, [mate, Row(ids, continuations=wanted)])
    handle.remove()
    held = len(ids) + len(mate.ids) if ready.packs else 2 * len(ids)
    assert run_of[0] == held
    assert max(run_of[1:]) <= 1 + len(wanted)
    assert len({together[index].ids for index in range(len(decodings))}) > 3
    for one in wanted:
        alone = answers(ready, [Row(ids, continuations=(one,))])
        assert alone[one.turns[0].reply] == together[one.turns[0].reply]
        assert apart(alone[one.turns[0].reply,], together[one.turns[0].reply,]) <= TOLERANCE


def replace_seed(seed: int) -> Decoding:
    return SAMPLED.model_copy(update={"seed": seed})


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_reading_taken_while_decoding_is_the_teacher_forced_one(ready: Host, decoding: Decoding) -> None:
    depths = [DEPTH, 2, 0]
    rows = [
        replace(
            row,
            continuations=(
                Continuation(decoding, (Exchange(name, {(name, depth): Mean(depth) for depth in depths}),)),
            ),
        )
        for name, row in enumerate(asked())
    ]
    found = answers(ready, rows)
    ends = {"limit" if len(found[name].ids) == LIMIT else "stop" for name in range(len(rows))}
    assert ends == {"limit", "stop"}
    for name, row in enumerate(rows):
        ids = found[name].ids
        span = (len(row.ids), len(row.ids) + len(ids))
        again = replace(
            row,
            ids=(*row.ids, *ids),
            continuations=(),
            spans={(name, depth): Span(*span, depth) for depth in depths},
        )
        for key, value in (answers(ready, [again]) if ids else {}).items():
            assert apart(found[key], value) <= TOLERANCE


def test_a_reading_of_its_own_reply_leaves_out_attention_sinks(ready: Host) -> None:
    norms = torch.full((DEPTH + 1,), torch.inf)
    row = replace(
        asked()[3], continuations=(Continuation(GREEDY, (Exchange("reply", {"mean": Mean(DEPTH)}),)),)
    )
    whole = dict(run(ready, [row], norms, Budget(pytest.fail)))
    end = len(row.ids) + len(whole["reply"].ids)
    again = Row((*row.ids, *whole["reply"].ids), spans={"mean": Span(len(row.ids), end, DEPTH)})
    tokens = [
        dict(
            run(ready, [replace(again, spans={0: Span(place, place + 1, DEPTH)})], norms, Budget(pytest.fail))
        )[0]
        for place in range(len(row.ids), end)
    ]
    # The token with the largest norm at depth 1 becomes a sink there, and only there.
    sizes = sorted(float(token[1].norm()) for token in tokens)
    norms[1] = (sizes[-1] + sizes[-2]) / 2 / 100
    found = dict(run(ready, [row], norms, Budget(pytest.fail)))["mean"]
    forced = dict(run(ready, [again], norms, Budget(pytest.fail)))["mean"]
    assert apart(found, forced) <= TOLERANCE
    changed = (found - whole["mean"]).abs().amax(dim=1) > 1e-3
    assert changed.tolist() == [False, True, False, False, False]


def test_an_empty_reply_has_no_mean(ready: Host) -> None:
    row = replace(
        asked()[0],
        label="probe 'quiet'",
        continuations=(Continuation(GREEDY, (Exchange("reply", {"mean": Mean(DEPTH)}),)),),
    )
    ready.model.generation_config.eos_token_id = naive(ready, row)[:1]
    found = answers(ready, [row])
    assert found["reply"] == Answer("", ())
    assert isinstance(found["mean"], MeasurementError)
    assert str(found["mean"]) == "the reply is empty, it has no response_mean: probe 'quiet'"


def test_a_low_temperature_is_greedy(host: Host) -> None:
    cold = asked(Decoding(max_new_tokens=LIMIT, temperature=1e-4))[:2]
    assert answers(host, cold) == {name_of(row): said(host, naive(host, row)) for row in cold}


def test_samples_follow_the_distribution_of_the_model(host: Host) -> None:
    # 400 first tokens, each from a seed of its own, against the model's own probabilities.
    ids = PROMPTS[0]
    with torch.inference_mode():
        expected = (host.model(input_ids=torch.tensor([ids])).logits[0, -1] / 0.5).softmax(dim=-1)
    likely = int(expected.argmax())
    wanted = tuple(
        Continuation(Decoding(max_new_tokens=1, temperature=0.5, seed=seed), (Exchange(seed),))
        for seed in range(400)
    )
    hits = sum(reply.ids == (likely,) for reply in answers(host, [Row(ids, continuations=wanted)]).values())
    share = expected[likely].item()
    assert 0.05 < share < 0.95
    assert hits / 400 == pytest.approx(share, abs=4 * (share * (1 - share) / 400) ** 0.5)


def test_decodings_do_not_mix(host: Host) -> None:
    short = Row(PROMPTS[0], continuations=(Continuation(Decoding(max_new_tokens=2), (Exchange("short"),)),))
    long = Row(PROMPTS[1], continuations=(Continuation(Decoding(max_new_tokens=9), (Exchange("long"),)),))
    assert answers(host, [short, long]) == {
        "short": said(host, naive(host, short)),
        "long": said(host, naive(host, long)),
    }


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_a_row_that_is_not_finite_is_an_error_of_its_own(ready: Host, odd: float) -> None:
    good = asked()[:3]
    bad = Row(
        (7, 8, 9),
        deltas={2: torch.full((WIDTH,), odd)},
        label="probe 'bad'",
        continuations=(Continuation(GREEDY, (Exchange("bad", {"mean": Mean(DEPTH)}),)),),
    )
    found = answers(ready, [*good, bad])
    assert str(found.pop("bad")) == "NaN or infinite logits while answering probe 'bad'"
    assert str(found.pop("mean")) == "NaN or infinite logits while answering probe 'bad'"
    assert found == {name_of(row): said(ready, naive(ready, row)) for row in good}


def test_a_reply_ends_where_the_tokenizer_or_the_model_says(host: Host) -> None:
    host.model.generation_config.eos_token_id = None
    assert stop_tokens(host) == {host.tokenizer.eos_token_id}
    host.model.generation_config.eos_token_id = [7, 8]
    assert stop_tokens(host) == {7, 8, host.tokenizer.eos_token_id}


def test_nothing_is_left_on_the_model(ready: Host) -> None:
    answers(ready, asked()[:8])
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in ready.blocks)


BETWEEN = [(), (31, 32, 33), (34,), (35, 36, 37, 38, 39)]


def conversations(decoding: Decoding) -> list[Row]:
    """Conversations of one to four turns, under every condition; named by their place and turn."""
    return [
        replace(
            row,
            continuations=(
                Continuation(
                    decoding,
                    tuple(
                        Exchange((name, turn), {(name, turn, "mean"): Mean(DEPTH)}, BETWEEN[turn])
                        for turn in range(1 + name % 4)
                    ),
                ),
            ),
        )
        for name, row in enumerate(asked())
    ]


def read_again(host: Host, rows: list[Row], decoding: Decoding, turn: tuple[int, ...] = ()) -> set[int]:
    """Hold conversations against plain replies, cut at `turn`, and reading them whole; lengths of answers."""
    found = answers(host, rows)
    lengths = set()
    for row in rows:
        name, _ = name_of(row)
        ids = row.ids
        for place in range(len(row.continuations[0].turns)):
            said = found[name, place].ids
            lengths.add(len(said))
            if decoding is GREEDY:
                alone = replace(
                    row, ids=ids + BETWEEN[place], continuations=(Continuation(GREEDY, (Exchange("said"),)),)
                )
                assert list(said) == naive(host, alone, turn)
            ids += BETWEEN[place] + said
            if said:
                span = Span(len(ids) - len(said), len(ids), DEPTH)
                again = answers(host, [replace(row, ids=ids, continuations=(), spans={"mean": span})])
                assert apart(found[name, place, "mean"], again["mean"]) <= TOLERANCE
    return lengths


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_every_answer_of_a_conversation_is_read_in_it(ready: Host, decoding: Decoding) -> None:
    lengths = read_again(ready, conversations(decoding), decoding)
    assert len(lengths) > 3, "answers must end at different times"


@pytest.mark.parametrize("by_text", [False, True], ids=["by tokens", "by the text of a header"])
def test_an_answer_ends_where_it_begins_a_turn_of_the_user(
    ready: Host, monkeypatch: pytest.MonkeyPatch, by_text: bool
) -> None:
    rows = conversations(GREEDY)[2:4]
    whole = answers(ready, rows)
    first, begun, *_ = whole[3, 0].ids[2:]
    header = str(ready.tokenizer.decode([first, begun]))
    monkeypatch.setattr(ready.chat, "ends", Ends(header=header) if by_text else Ends(None, (first, begun)))
    found = answers(ready, rows)
    assert found[3, 0].ids == whole[3, 0].ids[:2]
    assert found[3, 0].ran_on
    # What comes after it is what is said and read where it never was: nothing of it is left in the cache.
    read_again(ready, rows, GREEDY, (first, begun))


def test_an_answer_that_is_a_turn_of_the_user_is_empty(ready: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    row = conversations(GREEDY)[0]
    whole = answers(ready, [row])[0, 0].ids
    monkeypatch.setattr(ready.chat, "ends", Ends(None, whole[:2]))
    found = answers(ready, [row])
    assert found[0, 0] == Answer("", (), ran_on=True)
    assert str(found[0, 0, "mean"]).startswith("the reply is empty, it has no response_mean")


def test_the_template_ends_replies_where_nothing_else_is_named_to(host: Host) -> None:
    host.model.generation_config.eos_token_id = None
    host.tokenizer.eos_token = "<|endoftext|>"
    assert named_ends(host) == {host.tokenizer.convert_tokens_to_ids("<|endoftext|>")}
    assert stop_tokens(host) == named_ends(host) | {host.tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_a_conversation_does_not_depend_on_its_batch_mates(ready: Host) -> None:
    rows = conversations(SAMPLED)
    together = answers(ready, rows)
    for name in (1, 7, 13):
        for key, value in answers(ready, [rows[name]]).items():
            same = together[key]
            assert value == same if isinstance(value, Answer) else apart(value, same) <= TOLERANCE


def test_turns_that_nobody_asked_for_are_said_and_not_given(ready: Host) -> None:
    whole, row = conversations(GREEDY)[3], asked()[3]
    turns = (*(Exchange(before=ids) for ids in BETWEEN[:3]), Exchange("last", {}, BETWEEN[3]))
    assert answers(ready, [replace(row, continuations=(Continuation(GREEDY, turns),))]) == {
        "last": answers(ready, [whole])[3, 3]
    }


def test_a_fault_in_a_later_turn_leaves_the_earlier_answers(ready: Host) -> None:
    row = conversations(GREEDY)[1]
    ran: list[int] = []
    first = len(answers(ready, [row])[1, 0].ids)

    def spoil(module: object, args: object, output: torch.Tensor) -> torch.Tensor | None:
        ran.append(1)
        return output * torch.nan if len(ran) > first + 1 else None

    handle = ready.blocks[1].register_forward_hook(spoil)
    found = answers(ready, [row])
    handle.remove()
    assert isinstance(found[1, 0], Answer)
    assert str(found[1, 1]).startswith("NaN or infinite logits while answering")


def spoken(host: Host) -> tuple[Row, tuple[int, ...], int]:
    """A row, its reply, and a token of it that is a text of its own, early in it."""
    for row in asked()[: len(PROMPTS)]:
        ids = answers(host, [row])[name_of(row)].ids
        for place in range(2, len(ids) - 3):
            text = host.tokenizer.decode(ids[place : place + 1])
            if text.isascii() and text.strip() == text and text not in host.tokenizer.decode(ids[:place]):
                return row, ids, place
    raise AssertionError("no reply is long enough")


def reasoning(row: Row, marks: Marks) -> Row:
    exchange = Exchange("reply", {part: Mean(DEPTH, part) for part in Part})
    return replace(row, continuations=(Continuation(GREEDY, (exchange,), marks),))


def test_residuals_of_reasoning_and_answer_are_heard_apart(ready: Host) -> None:
    row, ids, place = spoken(ready)
    found = answers(ready, [reasoning(row, Marks("none", ready.tokenizer.decode(ids[place : place + 1])))])
    assert found["reply"].ids == ids
    assert found["reply"].reasoning.tokens == place + 1
    start, end = len(row.ids), len(row.ids) + len(ids)
    spans = {
        Part.REASONING: Span(start, start + place + 1, DEPTH),
        Part.ANSWER: Span(start + place + 1, end, DEPTH),
        Part.BOTH: Span(start, end, DEPTH),
    }
    read = answers(ready, [replace(row, ids=(*row.ids, *ids), spans=spans, continuations=())])
    for part in Part:
        assert apart(found[part], read[part]) <= TOLERANCE


def test_reasoning_that_is_not_closed_has_no_mean_of_an_answer(ready: Host) -> None:
    row, ids, _ = spoken(ready)
    found = answers(ready, [reasoning(row, Marks(ready.tokenizer.decode(ids[:1]), "never"))])
    assert (found["reply"].text, found["reply"].reasoning.closed) == ("", False)
    assert str(found[Part.ANSWER]).startswith(f"the reply was still reasoning at {len(ids)} tokens")
    assert apart(found[Part.REASONING], found[Part.BOTH]) == 0


def test_a_reply_goes_on_after_a_message_that_is_not_its_answer(ready: Host) -> None:
    row, ids, place = spoken(ready)
    ready.model.generation_config.eos_token_id = [*named_ends(ready), ids[1]]
    assert answers(ready, [row])[name_of(row)].ids == ids[:1]
    passed = ready.tokenizer.convert_ids_to_tokens(ids[1])
    marks = Marks("none", ready.tokenizer.decode(ids[place : place + 1]), passed)
    found = answers(ready, [reasoning(row, marks)])["reply"]
    assert found.ids[: place + 1] == ids[: place + 1]
    assert ids[1] not in found.ids[place + 1 :]
