import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.digests import file_digest
from coherence.engine.artefacts.keys import norms_key
from coherence.engine.artefacts.vectors import save_vector
from coherence.engine.batch.rows import Arrangement
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.chat import Chat
from coherence.engine.model.host import Host
from coherence.engine.requests.job import Job
from coherence.engine.running.runner import Runner
from coherence.errors import ArtefactError, CoherenceError, MeasurementError, Place
from coherence.plan import CALIBRATION, NEUTRAL, Answer, Condition, Elsewhere, Extract, Reading, Reply, Steer
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Prompt, Site, VectorSource

PROBE = Probe(id="order", text="Where is my order?")
BARE = Condition("You are a helpful assistant.")
ARR = Condition(BARE.neutral, (Prompt(text="Arr."),))
Make = Callable[..., Path]
Ship = Callable[..., Runner]


@pytest.fixture
def ship(artefacts: Callable[..., Artefacts], store: Store) -> Ship:
    return lambda **release: Runner(artefacts(**release), store, pytest.fail)


def stack(runner: Runner, ids: list[int]) -> NDArray[np.float32]:
    """Residuals [blocks + 1, tokens, width] of one prompt, naively."""
    host = runner.host
    with torch.inference_mode(), Taps(host.blocks, lambda hidden, depth: hidden) as taps:
        host.core(input_ids=torch.tensor([ids]))
    return taps.stacked()[0].numpy()


def read(runner: Runner, reading: Reading, known: dict[Reply, Answer] | None = None) -> NDArray[np.float32]:
    value = dict(runner.measured(Job((reading,), known or {})))[reading]
    assert isinstance(value, np.ndarray)
    return value


def close(one: NDArray[np.float32], two: NDArray[np.float32]) -> bool:
    return bool(np.abs(one - two).max() <= 1e-5 * np.abs(two).max())


def test_a_base_that_is_read_again_with_every_token_is_said_to_be_slow(
    artefacts: Callable[..., Artefacts], store: Store
) -> None:
    said: list[str] = []
    runner = Runner(artefacts(), store, said.append)
    runner.builder.host.packs, runner.builder.host.unpacked = 0, Arrangement.ALONE
    assert runner.host is runner.builder.host
    (sentence,) = said
    assert re.fullmatch(
        r"base '.*': a llama gives its own numbers only where every token is read with all before it, "
        r"one row at a time; that is slower",
        sentence,
    )


def test_a_reading_is_of_the_token_that_its_position_names(ship: Ship) -> None:
    runner = ship()
    words = runner.host.tokenizer
    prompt = Chat(words).encode(BARE, PROBE)
    reply = words("I am so sorry!", add_special_tokens=False)["input_ids"]
    asked = Reply(BARE, PROBE, Decoding())
    known = {asked: Answer("I am so sorry!", tuple(reply))}
    whole = stack(runner, [*prompt, *reply])
    user = max(index for index in range(len(prompt)) if words.decode(prompt[index:]).startswith("?"))
    expected = {
        Position.PROMPT_LAST: whole[:, len(prompt) - 1],
        Position.TURN_LAST: whole[:, user + 2],  # after what ends the turn, the line's end
        Position.USER_LAST: whole[:, user],
        Position.RESPONSE_MEAN: whole[:, len(prompt) :].mean(axis=1),
    }
    for position, value in expected.items():
        text = asked if position is Position.RESPONSE_MEAN else None
        assert close(read(runner, Reading(BARE, PROBE, position, text), known), value)


@pytest.mark.skipif(sys.platform != "linux", reason="templates are run in forks on Linux")
def test_the_template_is_run_in_one_process(ship: Ship, monkeypatch: pytest.MonkeyPatch) -> None:
    forks: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: forks.append(fork()) or forks[-1])
    runner = ship()
    dict(runner.measured(Job((Reading(BARE, PROBE), Reply(BARE, PROBE, Decoding(max_new_tokens=2))), {})))
    assert len(forks) == 1


def test_a_label_names_probe_model_and_dtype(ship: Ship, tiny: Path) -> None:
    assert (
        ship(dtype="bfloat16").builder.row(BARE, PROBE).label
        == f"probe 'order', base {str(tiny)!r} in bfloat16"
    )


def norms(runner: Runner) -> NDArray[np.float32]:
    """Median over the calibration questions of the median token norm, the first token left out."""
    chat = Chat(runner.host.tokenizer)
    prompts = [chat.encode(Condition(NEUTRAL), probe) for probe in CALIBRATION]
    medians = [np.median(np.linalg.norm(stack(runner, ids)[:, 1:], axis=2), axis=1) for ids in prompts]
    return np.asarray(np.median(medians, axis=0))


@pytest.mark.parametrize("site", ["resid_pre.0", "resid_post.1", "resid_post.3"])
def test_a_dose_is_in_units_of_the_median_norm_at_the_site(ship: Ship, tiny_vector: Make, site: str) -> None:
    path, depth = tiny_vector("pirate", site=site), Site.parse(site).depth
    long = path.with_name("long.safetensors")
    save_vector(long, 1e30 * load_file(path)["vector"], Site.parse(site), {})
    runner = ship(vectors={"pirate": path, "long": long})
    expected = 0.5 * norms(runner)[depth] * load_file(path)["vector"]
    for name in ("pirate", "long"):
        condition = Condition(BARE.neutral, steers=(Steer(name, 0.5),))
        assert close(runner.builder.deltas(condition)[depth].numpy(), expected)
        moved = read(runner, Reading(condition, PROBE)) - read(runner, Reading(BARE, PROBE))
        assert np.allclose(moved[depth], expected, atol=1e-4)
        assert not moved[:depth].any()


def test_vectors_at_one_site_add_up(ship: Ship, tiny_vector: Make) -> None:
    one, two, other = (tiny_vector(name, seed) for seed, name in enumerate(["one", "two", "other"]))
    save_vector(other, load_file(other)["vector"], Site.parse("resid_post.2"), {})
    runner = ship(vectors={"one": one, "two": two, "other": other})

    def deltas(*steers: Steer) -> dict[int, torch.Tensor]:
        return runner.builder.deltas(Condition(BARE.neutral, steers=steers))

    both = deltas(Steer("one", 0.5), Steer("two", -1), Steer("other", 1))
    assert both.keys() == {2, 3}
    assert torch.allclose(both[2], deltas(Steer("one", 0.5))[2] - deltas(Steer("two", 1))[2])
    assert not torch.equal(deltas(Steer("one", 1))[2], both[2])


def test_a_random_direction_has_the_norm_and_the_site_of_the_vector_it_stands_for(
    ship: Ship, tiny_vector: Make
) -> None:
    runner = ship(vectors={"pirate": tiny_vector("pirate")})
    vector, drawn, again, other = (
        runner.builder.deltas(Condition(BARE.neutral, steers=(Steer("pirate", 0.5, seed),)))[2]
        for seed in (None, 7, 7, 8)
    )
    assert torch.equal(drawn, again)
    for one, two in ((vector, drawn), (drawn, other)):
        assert torch.allclose(one.norm(), two.norm())
        assert torch.cosine_similarity(one, two, dim=0).abs() < 0.9


def test_vectors_that_are_orthonormalised_keep_their_norm_and_overlap_with_none(
    ship: Ship, tiny_vector: Make
) -> None:
    names = ("one", "two", "three")
    runner = ship(vectors={name: tiny_vector(name, seed) for seed, name in enumerate(names)})

    def delta(name: str, *among: str, dose: float = 0.5) -> torch.Tensor:
        steered = Condition(BARE.neutral, steers=(Steer(name, dose, among=among),))
        return runner.builder.deltas(steered)[2].double()

    apart = torch.stack([delta(name, *names) for name in names])
    lengths = torch.stack([delta(name) for name in names]).norm(dim=1)
    assert torch.allclose(apart @ apart.T, torch.diag(lengths**2), atol=1e-4 * float(lengths.max() ** 2))
    assert torch.allclose(delta("one", *names), delta("one", *names[::-1]))
    assert torch.allclose(delta("one", *names, dose=-1), -2 * apart[0])
    assert torch.allclose(delta("one", "one"), delta("one"))
    assert not torch.allclose(delta("one", *names), delta("one"), atol=0.01)


def test_they_are_at_each_of_several_sites(ship: Ship, tiny_vector: Make) -> None:
    paths = {name: str(tiny_vector(name, seed)) for seed, name in enumerate(("one", "two"))}
    runner = ship(vectors={name: {"path": path, "sites": "all"} for name, path in paths.items()})
    one, two = (
        runner.builder.deltas(Condition(BARE.neutral, steers=(Steer(name, 1.0, among=("one", "two")),)))
        for name in ("one", "two")
    )
    assert list(one) == list(two) == [0, 1, 2, 3, 4]
    assert all(torch.cosine_similarity(one[depth], two[depth], dim=0).abs() < 1e-5 for depth in one)


def test_a_random_vector_points_the_same_way_at_all_of_its_sites(ship: Ship, tiny_vector: Make) -> None:
    runner = ship(vectors={"pirate": {"path": str(tiny_vector("pirate")), "sites": "all"}})
    plain, drawn = (
        runner.builder.deltas(Condition(BARE.neutral, steers=(Steer("pirate", 0.5, seed),)))
        for seed in (None, 3)
    )
    assert all(torch.allclose(drawn[depth].norm(), plain[depth].norm()) for depth in plain)
    assert all(torch.cosine_similarity(drawn[depth], drawn[0], dim=0) > 1 - 1e-5 for depth in drawn)
    assert torch.cosine_similarity(drawn[0], plain[0], dim=0).abs() < 0.9


def orthonormalised(runner: Runner) -> str:
    with pytest.raises(ArtefactError) as problem:
        runner.builder.row(Condition(BARE.neutral, steers=(Steer("one", 0.5, among=("one", "two")),)), PROBE)
    return problem.value.sentence


def test_vectors_at_two_sites_are_not_orthonormalised(ship: Ship, tiny_vector: Make) -> None:
    sites = {"one": "resid_post.1", "two": "resid_post.2"}
    vectors = {name: tiny_vector(name, seed, site) for seed, (name, site) in enumerate(sites.items())}
    assert orthonormalised(ship(vectors=vectors)) == (
        "vector 'one': found vectors at resid_post.1, resid_post.2, expected all that are orthonormalised at "
        "the same sites"
    )


def test_vectors_that_depend_on_each_other_are_not_orthonormalised(ship: Ship, tiny_vector: Make) -> None:
    vectors = {name: tiny_vector(name, seed=1) for name in ("one", "two")}
    assert orthonormalised(ship(vectors=vectors)) == (
        "vector 'one': it cannot be orthonormalised: one of the 2 vectors is made of the others"
    )


def test_norms_are_measured_once_for_a_store(ship: Ship, tiny_vector: Make, store: Store) -> None:
    steered = Condition(BARE.neutral, steers=(Steer("pirate", 1.0),))
    first, second = (ship(vectors={"pirate": tiny_vector("pirate")}) for _ in range(2))
    delta = first.builder.deltas(steered)[2]
    stored = store.get(norms_key(first.artefacts))
    assert isinstance(stored, np.ndarray)
    store.put(norms_key(first.artefacts), 2 * stored)
    assert torch.allclose(second.builder.deltas(steered)[2], 2 * delta)


SITES = ["resid_pre.1", "resid_post.0", "resid_post.3"]


@pytest.mark.parametrize("position", [Position.PROMPT_LAST, Position.USER_LAST])
@pytest.mark.parametrize("site", SITES)
def test_an_extracted_vector_is_the_mean_difference(ship: Ship, site: str, position: Position) -> None:
    runner = ship()
    words = runner.host.tokenizer
    chat = Chat(words)

    def mean(condition: Condition) -> NDArray[np.float32]:
        found = []
        for probe in CALIBRATION:
            ids = chat.encode(condition, probe)
            closing = words("<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
            last = len(ids) - 1 - (len(closing) if position is Position.USER_LAST else 0)
            found.append(stack(runner, ids)[Site.parse(site).depth, last])
        return np.asarray(np.mean(found, axis=0))

    values = runner.extract(Extract(ARR, BARE, Site.parse(site), position))
    assert values.dtype == np.float32
    assert np.allclose(values, mean(ARR) - mean(BARE), atol=1e-4)


def test_an_extraction_over_replies_reads_each_side_over_its_own(ship: Ship) -> None:
    runner = ship()
    values = runner.extract(Extract(ARR, BARE, Site.parse("resid_post.2"), Position.RESPONSE_MEAN))
    again = runner.extract(Extract(BARE, ARR, Site.parse("resid_post.2"), Position.RESPONSE_MEAN))
    assert values.shape == (32,)
    assert np.array_equal(values, -again)


def test_what_a_suite_extracts_is_steered_with(ship: Ship) -> None:
    extract = Extract(ARR, BARE, Site.parse("resid_post.1"), Position.PROMPT_LAST)
    source = VectorSource.model_validate({"extract": {"persona": "pirate", "site": "resid_post.1"}})
    runner = ship(vectors={"pirate": source}, extracts={"pirate": extract})
    delta = runner.builder.deltas(Condition(BARE.neutral, steers=(Steer("pirate", 1.0),)))[2].numpy()
    values = runner.extract(extract)
    assert np.allclose(delta / np.linalg.norm(delta), values / np.linalg.norm(values), atol=1e-5)


def test_an_extracted_vector_acts_where_the_suite_says(ship: Ship) -> None:
    extract = Extract(ARR, BARE, Site.parse("resid_post.1"), Position.PROMPT_LAST)
    made = {"extract": {"persona": "pirate", "site": "resid_post.1"}}
    written = {
        "norm": {**made, "sites": ["resid_pre.1", "resid_post.2"]},
        "raw": {**made, "sites": "all", "unit": "raw"},
        "beyond": {**made, "sites": "resid_post.3..4"},
    }
    sources = {name: VectorSource.model_validate(source) for name, source in written.items()}
    runner = ship(vectors=sources, extracts=dict.fromkeys(sources, extract))
    values = runner.extract(extract)

    def deltas(name: str) -> dict[int, torch.Tensor]:
        return runner.builder.deltas(Condition(BARE.neutral, steers=(Steer(name, 2.0),)))

    assert all(np.allclose(delta, 2 * values, atol=1e-6) for delta in deltas("raw").values())
    assert list(deltas("raw")) == [0, 1, 2, 3, 4]
    assert {depth: float(delta.norm()) for depth, delta in deltas("norm").items()} == pytest.approx(
        {depth: 2 * runner.norms[depth] for depth in (1, 3)}
    )
    with pytest.raises(
        ArtefactError, match=r"vector 'beyond': found the site resid_post.4, expected a block"
    ):
        deltas("beyond")


def test_two_prompts_that_do_not_differ_give_no_vector(ship: Ship) -> None:
    for site in SITES:
        with pytest.raises(ArtefactError, match=rf"do not differ at {site}: there is no direction"):
            ship().extract(Extract(BARE, BARE, Site.parse(site), Position.PROMPT_LAST))
    with pytest.raises(ArtefactError, match=r"do not differ at resid_pre.0"):
        # At the embeddings the last token is the same token, whatever came before it.
        ship().extract(Extract(ARR, BARE, Site.parse("resid_pre.0"), Position.PROMPT_LAST))


@pytest.mark.parametrize("site", ["resid_pre.4", "resid_post.4", "resid_post.99"])
def test_an_extraction_beyond_the_model(ship: Ship, site: str) -> None:
    with pytest.raises(ArtefactError, match=rf"found the site {site}, expected a block from 0 to 3"):
        ship().extract(Extract(ARR, BARE, Site.parse(site), Position.PROMPT_LAST))


def problem_of(runner: Runner) -> CoherenceError:
    """What goes wrong with the vector, which is not tried again."""
    steered, caught = Condition(BARE.neutral, steers=(Steer("pirate", 1.0),)), []
    for _ in range(2):
        with pytest.raises(CoherenceError) as problem:
            runner.builder.row(steered, PROBE)
        caught.append(problem.value)
    assert caught[0] is caught[1]
    return caught[0]


PLACES = {
    f"release.{name}": Place("suite.yaml", line)
    for line, name in enumerate(["base", "adapters.pirate", "vectors.pirate"], start=1)
}


def test_a_vector_that_does_not_fit_says_its_line(ship: Ship, tmp_path: Path) -> None:
    wide = tmp_path / "wide.safetensors"
    save_vector(wide, np.ones(64, np.float32), Site.parse("resid_post.1"), {})
    problem = problem_of(ship(vectors={"pirate": wide}, places=PLACES))
    assert isinstance(problem, ArtefactError)
    assert str(problem) == (
        f"suite.yaml:3: the vector 'pirate' ({wide}) cannot be used: "
        "found 64, expected 32, the width of the base"
    )


def test_a_vector_at_a_site_beyond_the_model_says_its_line(ship: Ship, tiny_vector: Make) -> None:
    deep = tiny_vector("deep", site="resid_post.7")
    problem = problem_of(ship(vectors={"pirate": deep}, places=PLACES))
    assert str(problem).startswith("suite.yaml:3: the vector 'pirate' ")
    assert problem.sentence.endswith(
        "found the site resid_post.7, expected a block from 0 to 3, those of the base"
    )


def test_an_extraction_that_fails_says_its_line(ship: Ship) -> None:
    source = VectorSource.model_validate({"extract": {"persona": "pirate", "site": "resid_post.7"}})
    extract = Extract(ARR, BARE, Site.parse("resid_post.7"), Position.PROMPT_LAST)
    problem = problem_of(ship(vectors={"pirate": source}, extracts={"pirate": extract}, places=PLACES))
    assert str(problem) == (
        "suite.yaml:3: vector 'pirate': found the site resid_post.7, expected a block from 0 to 3"
    )


def test_an_adapter_that_does_not_fit_says_its_line(ship: Ship, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").touch()
    runner = ship(adapters={"pirate": tmp_path}, places=PLACES)
    for _ in range(2):
        with pytest.raises(ArtefactError, match=r"^suite.yaml:2: adapter 'pirate': has no adapter_config"):
            runner.builder.row(Condition(BARE.neutral, adapters=(("pirate", 1.0),)), PROBE)


def test_a_base_that_does_not_load_says_its_line(ship: Ship, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    runner = ship(base=str(tmp_path / "base"), places=PLACES)
    with pytest.raises(ArtefactError, match=r"^suite.yaml:1: base '.*/base': .* holds no model"):
        _ = runner.host
    with pytest.raises(ArtefactError, match=r"^suite.yaml:1: base '/nowhere': there is no folder /nowhere$"):
        _ = ship(base="/nowhere", places=PLACES).host


def test_a_base_without_a_chat_template_says_its_line(ship: Ship) -> None:
    runner = ship(places=PLACES)
    runner.host.tokenizer.chat_template = None
    with pytest.raises(ArtefactError, match=r"^suite.yaml:1: base .* has no chat template"):
        runner.builder.row(BARE, PROBE)


def test_the_base_is_never_written(ship: Ship, tiny: Path, tiny_adapter: Make, tiny_vector: Make) -> None:
    runner = ship(adapters={"pirate": tiny_adapter("pirate")}, vectors={"pirate": tiny_vector("pirate")})
    before = file_digest(tiny / "model.safetensors")
    stack_of = Condition(BARE.neutral, ARR.prompts, (("pirate", 0.5),), (Steer("pirate", 0.5),))
    read(runner, Reading(stack_of, PROBE))
    fresh = Host.load(tiny, "float32").model.state_dict()
    loaded = runner.host.model.state_dict()
    for name, value in fresh.items():
        beside = name.replace("_proj.weight", "_proj.base_layer.weight")
        assert torch.equal(loaded[beside if beside in loaded else name], value)
    assert file_digest(tiny / "model.safetensors") == before


def test_an_extraction_under_an_adapter_is_read_with_it_on_both_sides(ship: Ship, tiny_adapter: Make) -> None:
    runner = ship(adapters={"counsel": tiny_adapter("counsel", seed=1)})
    site = Site.parse("resid_post.2")
    with_adapter = [replace(side, adapters=(("counsel", 1.0),)) for side in (ARR, BARE)]
    arr, bare = (
        np.mean([read(runner, Reading(side, probe))[site.depth] for probe in CALIBRATION], axis=0)
        for side in with_adapter
    )
    values = runner.extract(Extract(*with_adapter, site, Position.PROMPT_LAST))
    assert close(values, arr - bare)
    assert not close(values, runner.extract(Extract(ARR, BARE, site, Position.PROMPT_LAST)))


def test_an_adapter_is_extracted_against_bare_weights_and_its_component_can_be_ablated(
    ship: Ship, tiny_adapter: Make
) -> None:
    site = Site.parse("resid_post.2")
    adapted = replace(BARE, adapters=(("counsel", 1.0),))
    extract = Extract(adapted, BARE, site, Position.PROMPT_LAST)
    source = VectorSource.model_validate(
        {"extract": {"adapter": "counsel", "site": str(site)}, "operation": "ablate"}
    )
    runner = ship(
        adapters={"counsel": tiny_adapter("counsel", seed=1)},
        vectors={"no-counsel": source},
        extracts={"no-counsel": extract},
    )
    counsel, bare = (
        np.mean([read(runner, Reading(side, probe))[site.depth] for probe in CALIBRATION], axis=0)
        for side in (adapted, BARE)
    )
    values = runner.extract(extract)
    assert close(values, counsel - bare)
    ablated = replace(adapted, steers=(Steer("no-counsel", 1.0),))
    along = read(runner, Reading(ablated, PROBE))[site.depth] @ values / np.linalg.norm(values)
    assert along == pytest.approx(0, abs=1e-3)


def test_a_vector_put_at_another_site_is_as_long_as_a_dose_is_there(ship: Ship, tiny_vector: Make) -> None:
    path = tiny_vector("pirate", site="resid_post.2")
    runner = ship(vectors={"pirate": path})

    def deltas(at: str) -> dict[int, torch.Tensor]:
        return runner.builder.deltas(replace(BARE, steers=(Steer("pirate", 0.5, at=Site.parse(at)),)))

    (delta,) = deltas("resid_post.0").values()
    assert close(delta.numpy(), 0.5 * norms(runner)[1] * load_file(path)["vector"])
    with pytest.raises(MeasurementError, match=r"resid_post\.9 lies beyond the model, whose last site is"):
        deltas("resid_post.9")


def test_a_vector_elsewhere_is_as_long_as_at_its_own_site(ship: Ship, tiny_vector: Make) -> None:
    runner = ship(vectors={"pirate": tiny_vector("pirate", site="resid_post.2")})

    def deltas(elsewhere: Elsewhere | None) -> dict[int, torch.Tensor]:
        return runner.builder.deltas(replace(BARE, steers=(Steer("pirate", 0.5, elsewhere=elsewhere),)))

    (own,) = deltas(None).values()
    for where, depths in ((Elsewhere.EARLIER, [2]), (Elsewhere.LATER, [4]), (Elsewhere.EVERY, [1, 2, 3, 4])):
        found = deltas(where)
        assert [*found] == depths
        assert all(torch.equal(delta, own) for delta in found.values())


def test_there_is_no_block_after_the_last_and_no_one_direction_of_several(
    ship: Ship, tiny_vector: Make, tmp_path: Path
) -> None:
    path = tmp_path / "stack.npy"
    np.save(path, np.random.default_rng(0).standard_normal((4, ship().host.width)).astype(np.float32))
    stack = {"path": str(path), "layers": "block_outputs", "sites": "resid_post.0..1"}
    runner = ship(vectors={"last": tiny_vector("last", site="resid_post.3"), "stack": stack})

    def deltas(vector: str, elsewhere: Elsewhere) -> dict[int, torch.Tensor]:
        return runner.builder.deltas(replace(BARE, steers=(Steer(vector, 0.5, elsewhere=elsewhere),)))

    with pytest.raises(MeasurementError, match="the vector 'last' has no site a block later than its own"):
        deltas("last", Elsewhere.LATER)
    with pytest.raises(MeasurementError, match="the vector 'stack' acts at several sites, each in its own"):
        deltas("stack", Elsewhere.EVERY)
    assert [*deltas("stack", Elsewhere.LATER)] == [2, 3]


def test_a_vector_with_a_direction_for_each_site_cannot_be_put_at_one(ship: Ship, tmp_path: Path) -> None:
    path = tmp_path / "stack.npy"
    np.save(path, np.random.default_rng(0).standard_normal((4, ship().host.width)).astype(np.float32))
    runner = ship(vectors={"stack": {"path": str(path), "layers": "block_outputs", "sites": "all"}})
    steered = replace(BARE, steers=(Steer("stack", 0.5, at=Site(1, "post")),))
    with pytest.raises(ArtefactError, match=r"found directions of 4 sites, expected one to be put at resid_"):
        runner.builder.deltas(steered)
