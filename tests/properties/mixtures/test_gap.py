import re

import numpy as np
import pytest
from poles import DEPTH, PROBES, WIDTH, readings_of, scene

from coherence.errors import SuiteError
from coherence.plan import ClaimName, LawOutcome, Record, Seen
from coherence.properties.mixtures.gap import Gap
from coherence.vocabulary import Verdict

EXAMPLES = [{"user": f"Why {n}?", "replies": ["Great!", "Sadly."]} for n in range(4)]
EVERY = {"regimes": ("prompt", "adapter", "steering"), "examples": EXAMPLES}


def case_of(**fields):
    defaults = {"poles": ("upbeat", "gloomy"), "site": "resid_post.1", "max_gap": 0.1}
    (case,) = Gap(property="gap", **defaults | fields).cases(scene())
    return case


def judged(answers, noise=0.05, reach=None, **fields):
    """Mixtures of each way lie on one line, at `answers[slug](w)` of the way's own reach."""
    case, drawn = case_of(**fields), np.random.default_rng(0)
    line, questions = drawn.normal(size=WIDTH), drawn.normal(size=(len(PROBES), WIDTH))
    at = dict(zip(case.ways[0].prompted, (2.0, 0.0), strict=True))
    for way in case.ways:
        for weight, several in way.mixtures.items():
            for condition in several:
                at.setdefault(condition, answers[way.slug](weight) * (reach or {}).get(way.slug, 2.0))
    values = {}
    for reading in readings_of(case):
        values[reading] = np.full((DEPTH, WIDTH), np.nan, np.float32)
        place = questions[PROBES.index(reading.probe)] + at[reading.condition] * line
        values[reading][2] = place + noise * drawn.normal(size=WIDTH)
    return case.judge(Record(values), seed=0)


def linear(w):
    return w


def test_ways_that_agree_pass_however_far_apart_their_poles_are():
    evidence = judged({"adapter": linear, "steering": linear}, reach={"adapter": 0.8})
    assert evidence.verdict is Verdict.PASS
    assert evidence.decisive.estimate.value < 0.05


def test_the_largest_gap_is_that_of_the_worst_pair_and_weight():
    answers = {"adapter": linear, "steering": {0: 0, 0.25: 0.3, 0.5: 0.9, 0.75: 0.9, 1: 1}.get}
    evidence = judged(answers)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.value == pytest.approx(0.4, abs=0.03)
    assert evidence.notes[0].startswith("the largest gap is steering - adapter at weight 0.5: +0.4")


def test_prompts_are_compared_where_they_have_a_mixture():
    evidence = judged({"prompt": linear, "adapter": linear, "steering": linear, "examples": linear}, **EVERY)
    (table,) = evidence.tables
    assert [row for row in table.rows if "prompt" in row] == [
        f"prompt - {other} at weight 0.5" for other in ("adapter", "steering", "examples")
    ]
    assert len(table.rows) == 3 + 3 * 3


def test_all_ways_are_in_one_picture():
    curve = judged(
        {"prompt": linear, "adapter": linear, "steering": linear, "examples": linear}, **EVERY
    ).curve
    assert list(curve.series) == ["prompt", "adapter", "steering", "examples"]
    assert curve.at == ("0", "0.25", "0.5", "0.75", "1")
    assert curve.series["prompt"].values[1] is None
    assert curve.series["adapter"].values == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.05)


def test_a_way_whose_poles_lie_on_one_another_decides_nothing():
    evidence = judged({"adapter": linear, "steering": lambda w: 0.0})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert re.match(r"the poles do not lie apart under steering", evidence.decisive.unreliable)


def test_the_interval_allows_for_the_number_of_gaps():
    answers = {"adapter": linear, "steering": lambda w: w + 0.2 * w * (1 - w)}
    few = judged(answers, noise=0.6, weights=(0, 0.5, 1)).decisive.estimate
    assert few.low < few.value < few.high
    assert judged(answers, noise=0.6).decisive.estimate.high > few.value


def test_one_way_alone_has_nothing_to_be_compared_with():
    with pytest.raises(SuiteError, match=re.escape("found prompt at 0 0.5 1, trained at 0 0.25 1")):
        case_of(regimes=["prompt"], trained={0.25: "gloomy"})


def test_a_search_is_an_assertion_of_its_own():
    asked = Gap(
        property="gap", poles=("upbeat", "gloomy"), site="resid_post.1", max_gap=0.1, search=5,
        regimes=("prompt", "adapter", "steering"),
    )  # fmt: skip
    _, case = asked.cases(scene())
    assert case.slug == "search"
    assert (case.search.law, case.search.tolerance, case.search.examples) == (ClaimName.SAME_POSITION, 0.1, 5)
    prompted, adapter, steering = zip(case.search.conditions[::2], case.search.conditions[1::2], strict=True)
    assert [condition.prompts[0].text for condition in prompted] == ["Be upbeat.", "Be gloomy."]
    assert [condition.adapters for condition in adapter] == [(("upbeat", 1.0),), (("gloomy", 1.0),)]
    assert [condition.steers[0].vector for condition in steering] == ["upbeat", "gloomy"]
    found = Seen({"pair": ["adapter", "steering"], "weight": 0.3}, 0.2)
    evidence = case.judge(Record({case.search: LawOutcome(found, 9, found)}), seed=0)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.notes[-2] == "smallest counterexample, 0.20: pair adapter and steering, weight 0.3"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"regimes": ["prompt", "adapter"]}, "two regimes that can be mixed at any weight, without prompts"),
        ({"position": "response_mean"}, "positions in the prompt, such as prompt_last; found response_mean"),
    ],
)
def test_what_cannot_be_searched_is_a_sentence(fields, sentence):
    with pytest.raises(SuiteError, match=sentence):
        case_of(search=5, **fields)
