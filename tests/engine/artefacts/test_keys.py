import datetime
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.digests import file_digest
from coherence.engine.artefacts.keys import extract_key, key_of, norms_key, template_key
from coherence.plan import (
    Condition,
    Divergence,
    Elsewhere,
    Extract,
    LawName,
    LawSearch,
    Likelihood,
    Measurement,
    NextToken,
    Patch,
    Reading,
    Reply,
    Steer,
    Way,
    WeightError,
)
from coherence.vocabulary import (
    Decoding,
    Example,
    Part,
    Position,
    Probe,
    Prompt,
    Site,
    Templating,
    Thinking,
    Tokens,
)

NEUTRAL = "You are a helpful assistant."
ARR = Prompt(text="Arr.", examples=(Example(user="Hot?", reply="Aye."),))
PROBE = Probe(id="order", text="Where is my order?")


def condition(
    neutral: str = NEUTRAL,
    prompt: Prompt = ARR,
    adapter: float = 1.0,
    dose: float = 0.5,
    name: str = "pirate",
    drawn: int | None = None,
    among: tuple[str, ...] = (),
) -> Condition:
    return Condition(neutral, (prompt,), ((name, adapter),), (Steer(name, dose, drawn, among),))


def reply(condition: Condition, probe: Probe = PROBE, **decoding: float) -> Reply:
    return Reply(condition, probe, Decoding.model_validate(decoding))


@pytest.fixture
def ship(
    artefacts: Callable[..., Artefacts],
    tiny: Path,
    tiny_adapter: Callable[..., Path],
    tiny_vector: Callable[..., Path],
    tmp_path: Path,
) -> Callable[..., Artefacts]:
    base = shutil.copytree(tiny, tmp_path / "base")
    adapter, vector = tiny_adapter("pirate"), tiny_vector("pirate")

    def make(name: str = "pirate", **release: object) -> Artefacts:
        return artefacts(
            **{"base": str(base), "adapters": {name: adapter}, "vectors": {name: vector}} | release
        )

    return make


def key(measurement: Measurement, release: Artefacts) -> str:
    return json.dumps(key_of(measurement, release), sort_keys=True)


def law(name: str = "pirate", **changes: object) -> LawSearch:
    fields = {"law": LawName.BATCH_MATES, "tolerance": 1e-4, "examples": 8, "seed": 0} | changes
    return LawSearch(
        conditions=(condition(name=name),),
        probes=(fields.pop("probe", PROBE),),
        **fields,  # type: ignore[arg-type]
    )


def patched(
    weight: float = 1.0,
    term: Reading | None = None,
    site: str = "resid_pre.2",
    position: Position = Position.PROMPT_LAST,
) -> Condition:
    term = term or Reading(condition(), PROBE)
    return Condition(NEUTRAL, patch=Patch(((weight, term),), (Site.parse(site),), position))


def divergence(changed: Condition | None = None, **fields: Any) -> Divergence:
    reference = fields.pop("reference", condition())
    text = fields.pop("text", reply(condition()))
    return Divergence(changed or Condition(NEUTRAL), PROBE, reference, text, **fields)


DIFFERENT: list[Measurement] = [
    reply(condition()),
    reply(condition(), max_new_tokens=9),
    reply(condition(), temperature=0.5),
    reply(condition(), temperature=0.5, seed=1),
    reply(condition(), Probe(id="order", text="Where is it?")),
    reply(condition(prompt=Prompt(text="Ahoy."))),
    reply(condition(prompt=Prompt(text="Arr."))),
    reply(condition(prompt=Prompt(text="Arr.", role="user"))),
    reply(condition(neutral="Be brief.", prompt=Prompt(text="Arr.", role="user"))),
    reply(condition(adapter=0.5)),
    reply(condition(dose=1.0)),
    reply(condition(drawn=0)),
    reply(condition(drawn=1)),
    reply(condition(among=("pirate",))),
    reply(Condition(NEUTRAL)),
    Reading(condition(), PROBE),
    Reading(condition(), PROBE, through=Site.parse("resid_pre.2")),
    Reading(condition(), PROBE, through=Site.parse("resid_post.2")),
    Reading(condition(), PROBE, Position.TURN_LAST),
    Reading(condition(), PROBE, Position.USER_LAST),
    Reading(condition(), PROBE, Position.RESPONSE_MEAN, reply(condition())),
    Reading(condition(), PROBE, Position.RESPONSE_MEAN, reply(Condition(NEUTRAL))),
    NextToken(condition(), PROBE),
    Likelihood(condition(), PROBE, reply(condition())),
    Likelihood(condition(), PROBE, reply(Condition(NEUTRAL))),
    Likelihood(Condition(NEUTRAL), PROBE, reply(condition())),
    divergence(),
    divergence(given=1),
    divergence(tokens=9),
    divergence(text=reply(Condition(NEUTRAL))),
    divergence(reference=Condition(NEUTRAL)),
    divergence(patched()),
    divergence(patched(weight=2.0)),
    divergence(patched(term=Reading(Condition(NEUTRAL), PROBE))),
    divergence(patched(site="resid_post.2")),
    divergence(patched(position=Position.USER_LAST)),
    divergence(reference=patched()),
    law(),
    law(law=LawName.DOSE_ZERO),
    law(examples=9),
    law(seed=1),
    law(tolerance=1e-3),
    law(probe=Probe(id="order", text="Where is it?")),
    *(reply(replace(condition(), way=way)) for way in Way if way is not Way.STACKED),
    *(WeightError(replace(condition(), way=way)) for way in Way),
    WeightError(condition(adapter=0.5)),
]


def test_different_measurements_have_different_keys(ship: Callable[..., Artefacts]) -> None:
    release = ship()
    assert len({key(measurement, release) for measurement in DIFFERENT}) == len(DIFFERENT)


DEPLOYED = [
    {"sites": "all"},
    {"sites": "resid_post.2"},
    {"tokens": "reply"},
    {"operation": "ablate"},
    {"operation": "clamp"},
    {"unit": "raw"},
]


def test_a_deployment_is_part_of_a_key_where_it_is_not_the_usual_one(
    ship: Callable[..., Artefacts], tiny_vector: Callable[..., Path]
) -> None:
    path = tiny_vector("pirate")

    def deployed(**how: str) -> str:
        return key(reply(condition()), ship(vectors={"pirate": {"path": str(path), **how}}))

    usual = deployed(tokens="all", operation="add", unit="norm")
    assert usual == deployed()
    # As it was written before there was a choice.
    assert f'"steers": [["{file_digest(path)} None None", 0.5]]' in usual
    assert len({usual, *(deployed(**how) for how in DEPLOYED)}) == 1 + len(DEPLOYED)


def test_a_key_does_not_depend_on_names(ship: Callable[..., Artefacts]) -> None:
    renamed = Probe(id="other", text=PROBE.text, template="orders")
    assert key(reply(condition()), ship()) == key(reply(condition(name="captain"), renamed), ship("captain"))


def test_a_law_is_told_in_names_and_so_depends_on_them(ship: Callable[..., Artefacts]) -> None:
    renamed = law(probe=Probe(id="other", text=PROBE.text))
    assert len({key(law(), ship()), key(renamed, ship()), key(law("captain"), ship("captain"))}) == 3


def test_which_probes_a_law_is_tried_on_belongs_to_its_key(ship: Callable[..., Artefacts]) -> None:
    few = tuple(Probe(id=f"p{n}", text="Why?" * n) for n in range(1, 5))
    several = replace(law(), law=LawName.DOSE_ZERO, probes=few)
    assert "asked" not in key_of(several, ship())
    more = replace(several, probes=(Probe(id="long", text="Where is it?" * 9), *few))
    assert key_of(more, ship())["asked"] == ["p1", "p2", "p3", "p4"]


def test_how_much_of_a_prompt_a_law_reads_belongs_to_its_key(ship: Callable[..., Artefacts]) -> None:
    assert key_of(replace(law(), law=LawName.DOSE_ZERO), ship())["last tokens"] == 12
    assert "last tokens" not in key_of(law(), ship())


def test_a_neutral_text_that_nothing_reads_is_no_part_of_a_key(ship: Callable[..., Artefacts]) -> None:
    assert key(reply(condition("One.")), ship()) == key(reply(condition("Two.")), ship())


def test_what_a_vector_is_orthonormalised_with_is_a_set(
    ship: Callable[..., Artefacts], tiny_vector: Callable[..., Path]
) -> None:
    vectors = {name: tiny_vector(name, seed) for seed, name in enumerate(["pirate", "one", "two"])}
    release = ship(vectors=vectors)
    first, second, fewer = (
        key(reply(condition(among=among)), release)
        for among in [("pirate", "one", "two"), ("two", "pirate", "one"), ("pirate", "one")]
    )
    assert first == second != fewer
    other = ship(vectors=vectors | {"two": tiny_vector("two", seed=9)})
    assert key(reply(condition(among=("pirate", "one", "two"))), other) != first


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("measurement", DIFFERENT[::6], ids=lambda found: type(found).__name__)
@pytest.mark.parametrize(
    "changed",
    ["base/model.safetensors", "base/chat_template.jinja", "base/tokenizer.json", "adapter", "vector"],
)
def test_one_byte_of_an_artefact_is_another_key(
    ship: Callable[..., Artefacts], tmp_path: Path, measurement: Measurement, changed: str
) -> None:
    release = ship()
    files = {
        "adapter": Path(release.release.adapters["pirate"]) / "adapter_model.safetensors",
        "vector": Path(str(release.release.vectors["pirate"].path)),
    }
    before = key(measurement, release)
    flip_last_byte(files.get(changed, tmp_path / changed))
    assert key(measurement, ship()) != before


def test_the_scale_of_an_adapter_is_part_of_it(ship: Callable[..., Artefacts]) -> None:
    release = ship()
    before = key(reply(condition()), release)
    config = Path(release.release.adapters["pirate"]) / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 9'))
    assert key(reply(condition()), ship()) != before


def test_the_dtype_is_part_of_every_key(ship: Callable[..., Artefacts]) -> None:
    single, brain = ship(), ship(dtype="bfloat16")
    assert norms_key(single) != norms_key(brain)
    for measurement in DIFFERENT:
        assert key(measurement, single) != key(measurement, brain)


def test_where_a_base_lies_is_no_part_of_a_key(ship: Callable[..., Artefacts], tmp_path: Path) -> None:
    moved = shutil.copytree(tmp_path / "base", tmp_path / "moved")
    assert key(reply(condition()), ship()) == key(reply(condition()), ship(base=str(moved)))


def test_what_a_condition_does_not_use_is_no_part_of_its_key(ship: Callable[..., Artefacts]) -> None:
    bare = reply(Condition(NEUTRAL))
    assert key(bare, ship()) == key(bare, ship(adapters={}, vectors={}))


STATED = Templating(date=datetime.date(2026, 1, 31))
EXTRACT = Extract(condition(), Condition(NEUTRAL), Site.parse("resid_post.1"), Position.PROMPT_LAST)


def told(release: Artefacts) -> list[dict[str, Any]]:
    """Keys of all that prompts are read for."""
    kinds = [
        reply(condition()),
        Reading(condition(), PROBE),
        NextToken(condition(), PROBE),
        law(),
        divergence(),
    ]
    return [dict(key_of(one, release)) for one in kinds] + [
        dict(extract_key(EXTRACT, release)),
        dict(template_key(release)),
    ]


def test_keys_say_nothing_of_a_template_that_asks_for_nothing(ship: Callable[..., Artefacts]) -> None:
    release = ship()
    for one in [*told(release), dict(norms_key(release)), dict(key_of(WeightError(condition()), release))]:
        assert one.keys().isdisjoint({"date", "system", "cut at"})
    assert told(release) == told(ship(templating=STATED))


def test_the_date_is_in_the_keys_where_the_template_writes_it(
    ship: Callable[..., Artefacts], tmp_path: Path
) -> None:
    template = tmp_path / "base" / "chat_template.jinja"
    template.write_text("{{ strftime_now('%d %b %Y') }}" + template.read_text())
    assert {one["date"] for one in told(ship())} == {"2024-07-26"}
    assert {one["date"] for one in told(ship(templating=STATED))} == {"2026-01-31"}
    # Norms belong to the base, and weights see no prompt.
    assert norms_key(ship()) == norms_key(ship(templating=STATED))
    assert norms_key(ship())["date"] == "2024-07-26"
    assert "date" not in key_of(WeightError(condition()), ship())


def test_a_header_that_replies_are_cut_at_is_in_the_keys(
    ship: Callable[..., Artefacts], tmp_path: Path
) -> None:
    template = tmp_path / "base" / "chat_template.jinja"
    template.write_text(template.read_text() + "{# [INST] #}")
    assert {one["cut at"] for one in told(ship())} == {"[INST]"}
    assert "cut at" not in norms_key(ship())


def test_a_system_turn_that_a_suite_folds_is_another_key(ship: Callable[..., Artefacts]) -> None:
    release = ship(templating=Templating(fold=True))
    assert {one["system"] for one in told(release)} == {"folded"}
    assert norms_key(release) == norms_key(ship())


def test_no_system_turn_is_another_key_than_an_empty_one(ship: Callable[..., Artefacts]) -> None:
    assert key(reply(Condition(None)), ship()) != key(reply(Condition("")), ship())


def test_replies_that_the_template_ends_have_another_key(
    ship: Callable[..., Artefacts], tmp_path: Path
) -> None:
    for name in ("config.json", "generation_config.json"):
        config = tmp_path / "base" / name
        config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": 0}))
    words = tmp_path / "base" / "tokenizer_config.json"
    words.write_text(json.dumps(json.loads(words.read_text()) | {"eos_token": "<|endoftext|>"}))
    mean = Reading(condition(), PROBE, Position.RESPONSE_MEAN, reply(condition()))
    assert "ends" in key_of(reply(condition()), ship())
    assert "ends" in key_of(mean, ship())["text"]
    assert "ends" not in key_of(Reading(condition(), PROBE), ship())


def test_values_of_a_base_that_is_no_longer_padded_are_not_those_of_before(
    ship: Callable[..., Artefacts], tmp_path: Path
) -> None:
    assert "arranged" not in norms_key(ship())
    config = tmp_path / "base" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "mamba2"}))
    assert norms_key(ship())["arranged"] == "as tried"


def test_thinking_is_in_the_keys_where_a_suite_speaks_of_it(ship: Callable[..., Artefacts]) -> None:
    silent, off, on = (
        [key(one, ship()) for one in thinking_of(thinking)] for thinking in ("auto", "off", "on")
    )
    assert len({*silent, *off, *on}) == 9
    assert not any("thinking" in one for one in silent)


def test_reasoning_is_in_the_keys_of_replies_that_were_answers_as_a_whole_once(
    ship: Callable[..., Artefacts], tmp_path: Path
) -> None:
    template = tmp_path / "base" / "chat_template.jinja"
    said, read, asked = thinking_of("auto")
    before = [key(one, ship()) for one in (said, read, asked)]
    for taken, apart in (("{{ '<think></think>' }}", True), ("{{ '</think>' if enable_thinking }}", False)):
        template.write_text(taken)
        assert key_of(said, ship()).get("reasoning") == ("apart" if apart else None)
        assert "reasoning" not in key_of(asked, ship())
    assert all("reasoning" not in one for one in before)


def test_a_part_is_in_the_key_unless_it_is_the_answer(ship: Callable[..., Artefacts]) -> None:
    text = reply(condition())
    for kind in (
        Reading(condition(), PROBE, Position.RESPONSE_MEAN, text),
        Likelihood(condition(), PROBE, text),
    ):
        assert "part" not in key_of(kind, ship())
        assert len({key(replace(kind, part=part), ship()) for part in Part}) == 3


def thinking_of(thinking: Thinking) -> tuple[Reply, Reading, NextToken]:
    told = replace(condition(), thinking=thinking)
    return reply(told), Reading(told, PROBE), NextToken(told, PROBE)


def test_where_a_vector_is_put_and_on_which_tokens_is_part_of_a_key(ship: Callable[..., Artefacts]) -> None:
    def put(**how: object) -> str:
        return key(reply(replace(condition(), steers=(Steer("pirate", 0.5, **how),))), ship())

    ways: tuple[dict[str, object], ...] = (
        {},
        {"at": Site(1, "post")},
        {"at": Site(2, "post")},
        {"tokens": Tokens.REPLY},
        *({"elsewhere": where} for where in Elsewhere),
    )
    assert len({put(**how) for how in ways}) == len(ways)
