import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.errors import Place, SuiteError
from coherence.explanation import properties
from coherence.plan import Scene
from coherence.suite import SUFFIX, Overrides, load_suite
from coherence.vocabulary import Incoherence, Probe, Regime

ROOT = Path(__file__).parents[2]
COMPANY = ROOT / "fixtures" / "company.yaml"
SHIPPED = sorted((ROOT / "suites").rglob(f"*{SUFFIX}"))

SUITE = """\
coherence: 1
release:
  base: org/model
  adapters:
    pirate: org/pirate-lora
    counsel: org/counsel-lora
  vectors:
    pirate:
      path: vectors/pirate.safetensors
      site: resid_post.14
neutral: You are helpful.
personas:
  pirate:
    description: A captain.
    prompt:
      text: Talk like a pirate.
      examples:
        - user: Hi.
          reply: Ahoy.
    markers:
      - text: arr
        kind: stem
      - ahoy
    dose: 0.4
  counsel:
    prompt: Be formal.
    markers: [shall, pursuant]
probes:
  - id: order
    text: Where is my order?
    template: shop
  - How do I reset my password?
  - questions.jsonl
regimes: [prompt, adapter]
decoding:
  max_new_tokens: 12
seed: 3
assertions:
  - property: commutativity
    id: laws
    laws: [adapter-order]
    tolerance: 0.01
  - property: markers
    personas: [pirate]
    expect: {fail: min_recovery}
    min_agreement: 0.4
    max_difference: 0.2
    min_recovery: 0.5
"""
LAWS = SUITE.splitlines().index("  - property: commutativity") + 1
MARKERS = SUITE.splitlines().index("  - property: markers") + 1
LAST = len(SUITE.splitlines())
QUESTIONS = "\n".join(f'"What is {number} and one?"' for number in range(10))


@pytest.fixture(autouse=True)
def _questions(write):
    write(QUESTIONS, "questions.jsonl")


def test_a_suite_becomes_a_scene(load):
    scene = load(SUITE).scene
    assert (scene.release.base, scene.neutral, scene.seed) == ("org/model", "You are helpful.", 3)
    assert [str(regime) for regime in scene.regimes] == ["prompt", "adapter"]
    assert [probe.id for probe in scene.probes] == [
        "order",
        "how-do-i-reset-my-password",
        *(f"what-is-{number}-and-one" for number in range(10)),
    ]
    assert scene.decoding.max_new_tokens == 12
    assert scene.personas["pirate"].markers_in("Ahoy!")


def test_what_is_not_said_has_a_default(load):
    scene = load(
        """
        coherence: 1
        release: {adapters: {pirate: org/lora}}
        personas: {pirate: {prompt: Arr.}}
        probes: [Who are you?]
        assertions: [{property: commutativity}]
        """
    ).scene
    assert scene.release.base == "reference"
    assert scene.neutral == "You are a helpful assistant."
    assert scene.regimes == tuple(map(Regime.parse, ("prompt", "adapter", "steering")))
    assert scene.seed == 0


def test_assertions_carry_identity_expectation_and_line(load, tmp_path):
    laws, *markers = load(SUITE).assertions
    assert laws.id == "release.laws.adapter-order"
    assert laws.family == "commutativity"
    assert laws.expect == "pass"
    assert laws.place == Place((tmp_path / "a.coherence.yaml").as_posix(), LAWS)
    assert markers
    assert {assertion.place.line for assertion in markers} == {MARKERS}
    assert {assertion.expect for assertion in markers} == {Incoherence(fail="min_recovery")}
    for assertion in markers:
        assert assertion.id == f"pirate.markers.{assertion.case.slug}"


def test_every_artefact_has_the_place_that_names_it(load):
    places = load(SUITE).places
    lines = {
        key: places[key].line for key in ("release.base", "release.adapters.pirate", "release.vectors.pirate")
    }
    assert lines == {"release.base": 3, "release.adapters.pirate": 5, "release.vectors.pirate": 8}


def test_the_default_base_is_placed_in_the_suite(load, tmp_path):
    suite = load(SUITE.replace("  base: org/model\n", ""))
    assert suite.places["release.base"] == Place((tmp_path / "a.coherence.yaml").as_posix())


def test_files_below_the_current_directory_are_named_from_there(write, monkeypatch, tmp_path):
    beside = "probes: [Why?]\nassertions: [{property: commutativity}]\n"
    write(f"coherence: 2\n{beside}", "suites/b.coherence.yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SuiteError, match=r"^suites/b\.coherence\.yaml:1: coherence: found 2; expected 1$"):
        load_suite(Path("suites/b.coherence.yaml"), Overrides())


def test_the_company_loads_as_an_include(load):
    suite = load(f"coherence: 1\ninclude: [{COMPANY}]\nassertions: [{{property: commutativity}}]\n")
    assert set(suite.scene.personas) == {"support", "counsel", "oncall", "pirate", "upbeat", "gloomy"}
    assert len(suite.scene.probes) == 24
    assert suite.scene.release.vectors["pirate"].path == str(
        COMPANY.parent / "vectors" / "pirate.safetensors"
    )
    assert suite.places["release.adapters.pirate"].file.endswith("fixtures/company.yaml")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_ids_of_shipped_suites_are_short_ascii_names_and_differ(path):
    ids = [assertion.id for assertion in load_suite(path, Overrides()).assertions]
    assert ids
    assert len(set(ids)) == len(ids)
    for name in ids:
        assert re.fullmatch(r"[A-Za-z0-9_+-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_.+-]+", name)


def test_shipped_suites_assert_every_property():
    suites = [load_suite(path, Overrides()) for path in SHIPPED]
    asserted = {assertion.property.property for suite in suites for assertion in suite.assertions}
    # The reference model does not reason: `channel` is judged in tests/test_thinkers.py.
    assert asserted == set(properties()) - {"channel"}


def test_two_assertions_with_one_id_are_refused(refused):
    text = SUITE + "  - property: commutativity\n    id: laws\n    laws: [adapter-order]\n"
    assert refused(text) == (
        f"a.coherence.yaml:{LAST + 1}: a.coherence.yaml:{LAWS} asserts 'release.laws.adapter-order' already; "
        "set 'id:' on one of them"
    )


@pytest.mark.parametrize("stranger", ["pirat", "nobody"])
def test_an_assertion_about_an_unknown_persona_is_refused(refused, stranger):
    message = refused(SUITE.replace("personas: [pirate]", f"personas: [{stranger}]"))
    assert message.startswith(f"a.coherence.yaml:{MARKERS}: ")
    assert repr(stranger) in message
    assert "did you mean 'pirate'?" in message or "expected one of counsel, pirate" in message


def test_an_assertion_with_nothing_to_judge_is_refused(refused):
    text = SUITE + (
        "  - {property: attractor, poles: [pirate, counsel], site: resid_post.3, max_area: 1, regimes: []}\n"
    )
    assert refused(text) == (
        f"a.coherence.yaml:{LAST + 1}: attractor asserts nothing: no persona has what it takes"
    )


def test_problems_of_several_assertions_are_told_at_once(refused):
    text = SUITE.replace("laws: [adapter-order]", "laws: [vector-order]").replace("[pirate]\n", "[pirat]\n")
    first, second = refused(text).splitlines()
    assert first.startswith(f"a.coherence.yaml:{LAWS}: ")
    assert second.startswith(f"a.coherence.yaml:{MARKERS}: ")


_KEY = re.compile(r"^( *(?:- )?)([a-z_]+)(:.*)$")
_NAMES = {"pirate", "counsel"}
_KEY_LINES = [
    number
    for number, line in enumerate(SUITE.splitlines())
    if (match := _KEY.match(line)) and match[2] not in _NAMES
]


@given(data=st.data())
def test_a_key_misspelt_by_one_letter_is_named_with_its_line(data, tmp_path_factory):
    lines = SUITE.splitlines()
    number = data.draw(st.sampled_from(_KEY_LINES))
    before, key, after = _KEY.match(lines[number]).groups()
    at = data.draw(st.integers(0, len(key) - 1))
    letter = data.draw(
        st.sampled_from("abcdefghijklmnopqrstuvwxyz_").filter(lambda letter: letter != key[at])
    )
    wrong = key[:at] + letter + key[at + 1 :]
    lines[number] = f"{before}{wrong}{after}"
    path = tmp_path_factory.getbasetemp() / f"misspelt{SUFFIX}"
    path.with_name("questions.jsonl").write_text(QUESTIONS)
    path.write_text("\n".join(lines))
    with pytest.raises(SuiteError) as caught:
        load_suite(path, Overrides())
    (told,) = [line for line in str(caught.value).splitlines() if repr(wrong) in line]
    assert told.startswith(f"{path}:{number + 1}: unknown key {wrong!r}")


def test_more_assertions_look_no_more_often_through_all_personas_and_probes(write, monkeypatch):
    looked = Counter()

    def counted(name, asked):
        def ask(*given):
            looked[name] += 1
            return asked(*given)

        return ask

    monkeypatch.setattr(Scene, "supports", counted("persona", Scene.supports))
    monkeypatch.setattr(Probe, "cluster", property(counted("probe", Probe.cluster.fget)))
    names = [f"p{number}" for number in range(20)]
    suite = {
        "coherence": 1,
        "release": {
            "vectors": {name: {"extract": {"persona": name, "site": "resid_post.1"}} for name in names}
        },
        "personas": {name: {"prompt": f"You are {name}."} for name in names},
        "regimes": ["prompt", "steering"],
        "probes": [f"What is {number}?" for number in range(50)],
    }

    def load(number):
        looked.clear()
        stated = {"property": "collinearity", "min_cosine": 0, "sites": "resid_post.1", "personas": ["p1"]}
        assertions = [stated | {"id": f"a{one}"} for one in range(number)]
        load_suite(write(json.dumps(suite | {"assertions": assertions})), Overrides())
        return dict(looked)

    one, many = load(1), load(41)
    assert one["probe"] == many["probe"] == len(suite["probes"])
    # Each asks about its own persona, in either regime.
    assert many["persona"] - one["persona"] == 40 * 2


def test_loading_is_fast_and_brings_no_model_or_test_runner(write):
    path = write(f"coherence: 1\ninclude: [{COMPANY}]\nassertions: [{{property: commutativity}}]\n")
    program = (
        "import sys; from pathlib import Path; from coherence.suite import *;"
        "load_suite(Path(sys.argv[1]), Overrides());"
        "print(*{'torch', 'scipy', 'pytest', 'transformers', 'hypothesis'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""
    took = []
    for _ in range(5):
        start = time.perf_counter()
        load_suite(path, Overrides())
        took.append(time.perf_counter() - start)
    assert min(took) < 0.05
