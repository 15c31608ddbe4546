import datetime

import pytest

SUITE = """\
coherence: 1
release:
  adapters:
    pirate: org/lora
  vectors:
    made:
      extract:
        persona: pirate
        against: counsel
        site: resid_post.3
personas:
  pirate:
    prompt: Arr.
    adapter: pirate
    vector: made
  counsel:
    prompt: Hereby.
probes: [Who are you?]
assertions: [{property: commutativity}]
"""


def test_names_that_exist_are_no_problem(load):
    assert load(SUITE).assertions


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "adapter: pirate",
            "adapter: pirat",
            "14: the release has no adapter 'pirat'; did you mean 'pirate'?",
        ),
        (
            "site: resid_post.3",
            "site: resid_post.3\n        under: pirat",
            "11: the release has no adapter 'pirat'; did you mean 'pirate'?",
        ),
        (
            "persona: pirate\n        against: counsel",
            "adapter: pirat",
            "8: the release has no adapter 'pirat'; did you mean 'pirate'?",
        ),
        ("vector: made", "vector: maid", "15: the release has no vector 'maid'; did you mean 'made'?"),
        (
            "  adapters:\n",
            '  served: {url: "http://127.0.0.1:1", steered: {maid: "http://127.0.0.1:2"}}\n  adapters:\n',
            "3: the release has no vector 'maid'; did you mean 'made'?",
        ),
        ("persona: pirate", "persona: pirat", "8: no persona is named 'pirat'; did you mean 'pirate'?"),
        ("against: counsel", "against: council", "9: no persona is named 'council'; did you mean 'counsel'?"),
        ("prompt: Hereby.", "description: x", "9: persona 'counsel' has no prompt to extract a vector from"),
        (
            "    vector: made",
            "    cap: {sites: resid_post.1, at: 0.3, persona: pirat}",
            "15: no persona is named 'pirat'; did you mean 'pirate'?",
        ),
        (
            "personas:\n",
            "personas:\n  mute:\n    cap: {sites: resid_post.1, at: 0.3}\n",
            "13: persona 'mute' has no prompt to lead the axis of a cap to",
        ),
        (
            "probes: [Who are you?]",
            "seed: 1",
            "1: the suite has no probes; expected questions under 'probes:'",
        ),
        (
            "[{property: commutativity}]",
            "[]",
            "19: the suite asserts nothing; expected a list under 'assertions:'",
        ),
        (
            "[Who are you?]",
            "[Who are you?, {id: you, text: What?}, {id: you, text: How?}]",
            "18: the probe id 'you' is taken by",
        ),
    ],
)
def test_a_loose_end_is_told_with_its_line(refused, right, wrong, message):
    assert right in SUITE
    assert refused(SUITE.replace(right, wrong)).startswith(f"a.coherence.yaml:{message}")


KIN = SUITE.replace(
    "personas:\n", "kin: [[pirate, counsel], [clerk, sailor]]\npersonas:\n  clerk: {}\n  sailor: {}\n"
)


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ("clerk, sailor", "clerk, sailer", "no persona is named 'sailer'; did you mean 'sailor'?"),
        ("clerk, sailor", "clerk", "kin are two personas or more; found clerk"),
        ("clerk, sailor", "", "kin are two personas or more; found none"),
        ("clerk, sailor", "clerk, clerk", "kin are two personas or more; found clerk, clerk"),
        (
            "clerk, sailor",
            "clerk, pirate",
            "'pirate' is kin already, at a.coherence.yaml:11; expected one group for all",
        ),
        ("[[pirate, counsel], [clerk, sailor]]", "[clerk]", "kin are two personas or more; found clerk"),
    ],
)
def test_kin_are_told_with_their_line(refused, right, wrong, sentence):
    assert right in KIN
    assert refused(KIN.replace(right, wrong)) == f"a.coherence.yaml:11: {sentence}"


def test_kin_are_a_list(refused):
    said = refused(KIN.replace("[[pirate, counsel], [clerk, sailor]]", "pirate"))
    assert said == "a.coherence.yaml:11: kin: expected a list, found 'pirate'"


@pytest.mark.parametrize(
    ("written", "kin"),
    [
        ("[[pirate, counsel], [clerk, sailor]]", [{"pirate", "counsel"}, {"clerk", "sailor"}]),
        ("[pirate, counsel, clerk]", [{"pirate", "counsel", "clerk"}]),
        ("[]", []),
    ],
)
def test_names_alone_are_one_group(load, written, kin):
    assert list(load(KIN.replace("[[pirate, counsel], [clerk, sailor]]", written)).scene.kin) == kin


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Who are you?", "Who are you?"),
        ("Who are you?", "WHO ARE YOU"),
        ("Who are you?", "  who  are\\tyou ?!"),
        ("Where's my order?", "Where\u2019s my order?"),
        ("Stra\u00dfe?", "STRASSE"),
        ("\uff37ho are you?", "Who are you?"),
        ("???", "???"),
    ],
)
def test_the_same_question_twice_is_refused_with_both_lines(refused, one, other):
    probes = f'probes:\n  - {{id: a, text: "{one}"}}\n  - {{id: b, text: "{other}"}}'
    said = refused(SUITE.replace("probes: [Who are you?]", probes))
    assert said.startswith("a.coherence.yaml:20: the question ")
    assert said.endswith("is asked already, at a.coherence.yaml:19; what is there twice counts twice")


@pytest.mark.parametrize(
    ("one", "other"),
    [("Is C good?", "Is C# good?"), ("Is 3 > 2?", "Is 3 < 2?"), ("What is 1.5?", "What is 15?"), ("?", "!")],
)
def test_other_questions_are_other_probes(load, one, other):
    probes = f'probes:\n  - {{id: a, text: "{one}"}}\n  - {{id: b, text: "{other}"}}'
    assert len(load(SUITE.replace("probes: [Who are you?]", probes)).scene.probes) == 2


def test_a_question_that_an_included_file_asks_is_refused_with_both_files(write, refused):
    write('{"id": "first", "text": "What now?"}\n{"id": "second", "text": "who are you"}\n', "cast/p.jsonl")
    write("coherence: 1\nprobes: p.jsonl\n", "cast/cast.yaml")
    suite = SUITE.replace("coherence: 1", "coherence: 1\ninclude: [cast/cast.yaml]")
    assert refused(suite) == (
        "a.coherence.yaml:19: the question 'Who are you?' is asked already, at cast/p.jsonl:2; "
        "what is there twice counts twice"
    )


A_DATE = "expected a date such as 2026-01-31"
PROMPTED = SUITE.replace("prompt: Arr.", "prompt: {role: user, text: Arr.}")


@pytest.mark.parametrize("written", ["2026-01-31", "'2026-01-31'"])
def test_a_date_is_a_day(load, written):
    assert load(f"date: {written}\n{SUITE}").scene.templating.day == datetime.date(2026, 1, 31)


def test_no_system_turn_at_all(load):
    suite = load("system: none\n" + PROMPTED.replace("prompt: Hereby.", "prompt: {role: user, text: Hm.}"))
    assert suite.scene.neutral is None
    assert load("neutral: null\n" + SUITE).scene.neutral is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "system: none\n" + PROMPTED,
            "18: the prompt of 'counsel' is a system turn, and `system: none` says",
        ),
        (
            "system: none\n" + SUITE,
            "14: the prompt of 'pirate' is a system turn, and `system: none` says that",
        ),
        ("system: none\nneutral: Hi.\n" + PROMPTED, "2: `system: none` says that there is no system turn;"),
        ("system: folded\n" + SUITE, "1: system: found 'folded'; did you mean 'fold'?"),
        ("date: today\n" + SUITE, f"1: date: {A_DATE}, found 'today'"),
        ("date: 2026-01-31 12:00:00\n" + SUITE, f"1: date: {A_DATE}, found '2026-01-31 12:00:00'"),
        ("date: [1]\n" + SUITE, f"1: date: {A_DATE}, found '[1]'"),
        ("date: 5\n" + SUITE, f"1: date: {A_DATE}, found '5'"),
    ],
)
def test_what_a_suite_says_of_templates(refused, text, message):
    assert refused(text).startswith(f"a.coherence.yaml:{message}")
