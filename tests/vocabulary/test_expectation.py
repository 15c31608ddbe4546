import pytest
from pydantic import TypeAdapter, ValidationError

from coherence.vocabulary import Criterion, Estimate, Expectation, Incoherence, Verdict

READ = TypeAdapter(Expectation).validate_python


def criterion(key, verdict):
    """A criterion that passes, fails, or straddles its threshold."""
    low, high = {"pass": (0.6, 0.8), "fail": (0.1, 0.3), "inconclusive": (0.4, 0.6)}[verdict]
    estimate = Estimate(name="cosine", value=(low + high) / 2, low=low, high=high, n=24)
    found = Criterion(estimate=estimate, at_least=0.5, key=key)
    assert found.verdict is Verdict(verdict)
    return found


def test_one_key_is_written_by_itself_and_several_as_a_list():
    assert READ({"fail": "min_cosine"}) == READ({"fail": ["min_cosine"]}) == Incoherence(fail="min_cosine")
    assert [str(READ({"fail": keys})) for keys in ("a", ["a"], ["a", "b"])] == [
        "{fail: a}",
        "{fail: a}",
        "{fail: [a, b]}",
    ]


@pytest.mark.parametrize("word", ["pass", "fail"])
def test_a_word_is_a_word(word):
    assert READ(word) == word


@pytest.mark.parametrize("written", ["error", {}, {"fail": []}, {"fail": 3}, {"pass": "a"}, None])
def test_nothing_else_is_an_expectation(written):
    with pytest.raises(ValidationError):
        READ(written)


@pytest.mark.parametrize(
    ("keys", "verdicts", "met"),
    [
        ("a", {"a": "fail", "b": "pass"}, True),
        ("a", {"a": "fail", "b": "inconclusive"}, True),
        ("a", {"a": "fail", "b": "fail"}, False),
        ("a", {"a": "fail", None: "fail"}, False),
        ("a", {"a": "pass", "b": "fail"}, False),
        ("a", {"a": "inconclusive", "b": "pass"}, False),
        ("a", {"a": "pass", "b": "pass"}, False),
        ("a", {"b": "pass"}, False),
        (("a", "b"), {"a": "fail", "b": "fail", "c": "pass"}, True),
        (("a", "b"), {"a": "fail", "b": "pass"}, False),
    ],
)
def test_exactly_what_is_named_must_fail(keys, verdicts, met):
    criteria = [criterion(key, verdict) for key, verdict in verdicts.items()]
    assert Incoherence(fail=keys).met(criteria) is met


def test_what_fails_alone_is_too_much_where_it_is_not_named_and_too_little_where_it_is():
    named, other = criterion("a", "fail"), criterion("b", "fail")
    alone = {"p": 0.02, "adjusted": {"p": 0.5, "among": 25}}
    only_alone = [Criterion.model_validate(one.model_dump() | alone) for one in (named, other)]
    assert not Incoherence(fail="a").met([named, only_alone[1]])
    assert not Incoherence(fail="a").met([only_alone[0]])
