import pytest

SUITE = """\
coherence: 1
release:
  adapters:
    pirate: org/lora
  vectors:
    pirate:
      path: pirate.pt
      site: resid_post.3
personas:
  pirate:
    prompt:
      text: Arr.
      role: user
    markers:
      - arr
      - {text: ahoy, kind: word}
probes:
  - id: who
    text: Who are you?
regimes:
  - prompt
  - adapter
decoding:
  max_new_tokens: 8
assertions:
  - property: commutativity
    tolerance: 0.01
"""


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("coherence: 1", "coherence: 2", "1: coherence: found 2; expected 1"),
        ("coherence: 1", "seed: 1", "1: missing key 'coherence'"),
        ("personas:", "persona:", "9: unknown key 'persona'; did you mean 'personas'?"),
        (
            "    markers:",
            "    marker:",
            "14: unknown key 'marker' in personas.pirate; did you mean 'markers'?",
        ),
        ("role:", "rolle:", "13: unknown key 'rolle' in personas.pirate.prompt; did you mean 'role'?"),
        ("kind:", "kid:", "16: unknown key 'kid' in personas.pirate.markers[1]; did you mean 'kind'?"),
        ("site:", "sight:", "8: unknown key 'sight' in release.vectors.pirate; did you mean 'site'?"),
        (
            "tolerance:",
            "tolerence:",
            "27: unknown key 'tolerence' in assertions[0]; did you mean 'tolerance'?",
        ),
        ("text: Who", "txt: Who", "19: unknown key 'txt' in probes[0]; did you mean 'text'?"),
        ("role: user", "role: usr", "13: personas.pirate.prompt.role: found 'usr'; did you mean 'user'?"),
        ("- arr\n", "- 42\n", "15: personas.pirate.markers[0]: expected a mapping"),
        (
            "text: Arr.",
            "text: on",
            "12: personas.pirate.prompt.text: expected a text, found True; put it in quotes",
        ),
        ("text: Arr.", "text:", "12: personas.pirate.prompt.text: expected a text, found nothing"),
        (
            "text: Arr.",
            "text: ''",
            "12: personas.pirate.prompt.text: expected a text that is not empty, found ''",
        ),
        ("text: Arr.\n      ", "", "11: missing key 'text' in personas.pirate.prompt"),
        ("resid_post.3", "layer 3", "8: release.vectors.pirate.site: 'layer 3' is not a site"),
        (
            "path: pirate.pt\n      ",
            "",
            "6: release.vectors.pirate: a vector has either a path or an extract",
        ),
        ("  - adapter", "  - adaptor", "22: regimes[1]: 'adaptor' is not a regime; did you mean 'adapter'?"),
        ("  - adapter", "  - prompt", "20: regimes: the regime prompt is listed twice"),
        ("tokens: 8", "tokens: many", "24: decoding.max_new_tokens: expected a whole number, found 'many'"),
        (
            "tokens: 8",
            "tokens: 0",
            "24: decoding.max_new_tokens: expected a number from 1 to 32768, found 0",
        ),
        (
            "property: comm",
            "property: com",
            "26: 'comutativity' is not a property; did you mean 'commutativity'?",
        ),
        (
            "- property",
            "- propperty",
            "26: unknown key 'propperty' in assertions[0]; did you mean 'property'?",
        ),
        ("property: commutativity", "id: x", "26: missing key 'property' in assertions[0]"),
        (
            "  pirate:\n    prompt",
            "  the pirate:\n    prompt",
            "10: 'the pirate' cannot be a name in personas",
        ),
        ("    pirate: org", "    a.b: org", "4: 'a.b' cannot be a name in release.adapters"),
        ("id: who", "id: who are you", "18: probes[0].id: expected"),
        ("kind: word", "kind: regex, text: '('", "16: the key 'text' is written twice"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_with_its_line(refused, right, wrong, message):
    assert right in SUITE
    found = refused(SUITE.replace(right, wrong, 1))
    assert f"a.coherence.yaml:{message}" in found
    assert "pydantic" not in found
    assert "Input should" not in found


def test_values_in_the_place_of_mappings_and_lists_are_told(refused):
    message = refused(
        "coherence: 1\npersonas: [pirate]\nprobes: 3\nrelease:\nassertions: {}\nregimes: prompt\n"
    )
    assert message.splitlines() == [
        "a.coherence.yaml:2: personas: expected a mapping (`key: value` lines), found a list",
        "a.coherence.yaml:3: probes: expected a list, found 3",
        "a.coherence.yaml:4: release: expected a mapping (`key: value` lines), found nothing",
        "a.coherence.yaml:5: assertions: expected a list, found a mapping",
        "a.coherence.yaml:6: regimes: expected a list, found 'prompt'",
    ]


def test_all_problems_of_a_file_are_told_topmost_first(refused):
    text = SUITE.replace("role: user", "role: 1").replace("site:", "sight:").replace("tolerance", "tolerence")
    places = [line.partition(": ")[0] for line in refused(text).splitlines()]
    assert places == ["a.coherence.yaml:8", "a.coherence.yaml:13", "a.coherence.yaml:27"]


def test_two_missing_keys_of_one_mapping_are_both_told(refused):
    text = SUITE.replace("id: who\n    text: Who are you?", "template: t")
    assert refused(text).splitlines() == [
        "a.coherence.yaml:18: missing key 'id' in probes[0]",
        "a.coherence.yaml:18: missing key 'text' in probes[0]",
    ]


@pytest.mark.parametrize(
    ("poles", "message"),
    [
        ("[pirate]", "31: assertions[1].poles: expected at least 2 items"),
        ("[pirate, parrot, sailor]", "31: assertions[1].poles: expected at most 2 items, found a list"),
    ],
)
def test_lists_of_the_wrong_length_are_told(refused, poles, message):
    attractor = f"  - property: attractor\n    site: resid_post.3\n    max_area: 1\n    poles: {poles}\n"
    assert refused(SUITE + attractor) == f"a.coherence.yaml:{message}"


def test_a_number_that_is_none_is_refused(refused):
    assert "tolerance: expected a finite number" in refused(SUITE.replace("0.01", "nan"))


COLLINEAR = "property: collinearity, sites: resid_post.1, min_cosine: 0.5"
MARKED = "property: markers, min_agreement: 0.5, max_difference: 0.2, min_recovery: 0.5"
PULLED = "property: attractor, poles: [a, b], site: resid_post.1, max_area: 0.1"


@pytest.mark.parametrize(
    ("assertion", "sentence"),
    [
        (f"{COLLINEAR}5, min_ceiling: -1", "min_ceiling: expected a number from 0 to 1, found -1"),
        (COLLINEAR.replace("0.5", "2"), "min_cosine: expected a number from -1 to 1, found 2"),
        (MARKED.replace("0.2", "1.5"), "max_difference: expected a number above 0 to 1, found 1.5"),
        (MARKED.replace("0.2", "0"), "max_difference: expected a number above 0 to 1, found 0"),
        (MARKED.replace("0.2", ".nan"), "max_difference: expected a finite number, found nan"),
        (
            f"{PULLED}, tipping: [0.2, 1.5]",
            "tipping: the range [0.2, 1.5] does not rise within 0 to 1, the weights of a mixture",
        ),
        (
            f"{PULLED}, min_separation: -1",
            "min_separation: expected a number greater than or equal to 0, found -1",
        ),
    ],
)
def test_a_threshold_outside_its_range_is_told_with_range_and_line(refused, assertion, sentence):
    found = refused(SUITE.replace("property: commutativity\n    tolerance: 0.01", f"{{{assertion}}}"))
    assert found == f"a.coherence.yaml:26: assertions[0].{sentence}"
