import pytest

from coherence.errors import SuiteError
from coherence.suite import Overrides, load_suite

CAST = """
coherence: 1
release:
  base: org/model
  adapters: {pirate: lora/pirate}
  vectors: {pirate: pirate.safetensors}
neutral: From the cast.
decoding: {max_new_tokens: 7}
seed: 5
personas:
  pirate: {prompt: Arr., markers: [arr]}
probes: [Who are you?]
"""

SUITE = """
coherence: 1
include: [cast/cast.yaml]
release:
  base: org/newer
  adapters: {counsel: org/counsel}
neutral: From the suite.
decoding: {temperature: 0.5}
personas:
  counsel: {prompt: Hereby.}
probes: [What is that?]
assertions: [{property: commutativity}]
"""


def test_definitions_and_probes_add_up(write, load):
    write(CAST, "cast/cast.yaml")
    scene = load(SUITE).scene
    assert list(scene.personas) == ["pirate", "counsel"]
    assert list(scene.release.adapters) == ["pirate", "counsel"]
    assert [probe.text for probe in scene.probes] == ["Who are you?", "What is that?"]


def test_the_including_file_wins_key_by_key(write, load):
    write(CAST, "cast/cast.yaml")
    scene = load(SUITE).scene
    assert (scene.release.base, scene.neutral, scene.seed) == ("org/newer", "From the suite.", 5)
    assert (scene.decoding.max_new_tokens, scene.decoding.temperature) == (7, 0.5)


@pytest.mark.parametrize(
    ("own", "kin"), [("", ("pirate", "mate")), ("kin: [pirate, counsel]", ("pirate", "counsel"))]
)
def test_kin_of_the_cast_are_those_of_the_suite_that_says_nothing_else(write, load, own, kin):
    write(CAST.replace("personas:\n", "kin: [pirate, mate]\npersonas:\n  mate: {}\n"), "cast/cast.yaml")
    assert load(f"{SUITE}{own}\n").scene.kin == (frozenset(kin),)


def test_paths_are_relative_to_the_file_that_states_them(write, load, tmp_path):
    write(CAST, "cast/cast.yaml")
    (tmp_path / "cast" / "lora" / "pirate").mkdir(parents=True)
    (tmp_path / "org" / "counsel").mkdir(parents=True)
    release = load(SUITE).scene.release
    assert release.adapters == {
        "pirate": str(tmp_path / "cast/lora/pirate"),
        "counsel": str(tmp_path / "org/counsel"),
    }
    assert release.vectors["pirate"].path == str(tmp_path / "cast/pirate.safetensors")
    assert release.base == "org/newer"


def test_places_name_the_file_that_defines(write, load, tmp_path):
    write(CAST, "cast/cast.yaml")
    places = load(SUITE).places
    assert str(places["release.adapters.pirate"]) == f"{tmp_path}/cast/cast.yaml:4"
    assert str(places["release.adapters.counsel"]) == f"{tmp_path}/a.coherence.yaml:5"


@pytest.mark.parametrize(
    ("addition", "sentence"),
    [
        ("personas: {pirate: {}}", "9: personas.pirate is defined twice; first at cast.yaml:10"),
        ("release: {adapters: {pirate: x}}", "9: adapters.pirate is defined twice; first at cast.yaml:4"),
        ("release: {vectors: {pirate: x.pt}}", "9: vectors.pirate is defined twice; first at cast.yaml:5"),
    ],
)
def test_nothing_is_defined_twice(write, refused, addition, sentence):
    write(CAST, "cast.yaml")
    above = "coherence: 1\ninclude:\n  - cast.yaml\nassertions:\n  - property: commutativity\n\n\n\n"
    assert refused(above + addition) == f"a.coherence.yaml:{sentence}"


def test_siblings_may_not_define_the_same(write, refused):
    write(CAST, "cast.yaml")
    write("coherence: 1\npersonas:\n  pirate: {}\n", "other.yaml")
    text = "coherence: 1\ninclude: [cast.yaml, other.yaml]\nassertions: [{property: commutativity}]\n"
    assert refused(text) == "other.yaml:3: personas.pirate is defined twice; first at cast.yaml:10"


def test_a_file_that_is_reached_twice_is_read_once(write, load):
    write(CAST, "cast.yaml")
    write("coherence: 1\ninclude: [cast.yaml]\nneutral: Between.\n", "between.yaml")
    text = "coherence: 1\ninclude: [cast.yaml, between.yaml]\nassertions: [{property: commutativity}]\n"
    scene = load(text).scene
    assert scene.neutral == "Between."
    assert len(scene.probes) == 1


def test_a_circle_is_refused_where_it_closes(write, refused):
    write("coherence: 1\ninclude:\n  - c.yaml\n", "b.yaml")
    write("coherence: 1\ninclude:\n\n  - b.yaml\n", "c.yaml")
    assert refused("coherence: 1\ninclude: [b.yaml]\n") == (
        "c.yaml:4: the includes run in a circle: b.yaml -> c.yaml -> b.yaml"
    )


def test_a_missing_include_is_told_where_it_is_named(refused):
    message = refused("coherence: 1\ninclude:\n  - cast.yaml\n")
    assert message == "a.coherence.yaml:3: there is no file cast.yaml"


def test_a_missing_suite_is_told(tmp_path):
    with pytest.raises(SuiteError, match=r"there is no file .*gone\.yaml"):
        load_suite(tmp_path / "gone.yaml", Overrides())


def test_a_problem_in_an_included_file_names_that_file(write, refused):
    write("coherence: 1\npersonas:\n  pirate:\n    marker: [arr]\n", "cast.yaml")
    own = "probes: [Why?]\nassertions: [{property: commutativity}]\n"
    assert refused(f"coherence: 1\ninclude: [cast.yaml]\n{own}") == (
        "cast.yaml:4: unknown key 'marker' in personas.pirate; did you mean 'markers'?"
    )


def test_assertions_stay_in_the_suite(write, refused):
    write("coherence: 1\nassertions:\n  - property: commutativity\n", "cast.yaml")
    assert refused("coherence: 1\ninclude: [cast.yaml]\nprobes: [Why?]\n") == (
        "cast.yaml:2: assertions belong in the suite, not in a file it includes"
    )
