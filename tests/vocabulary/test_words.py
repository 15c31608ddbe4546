import pytest
from pydantic import ValidationError

from coherence.vocabulary import Decoding, Probe, Verdict


def test_verdicts_are_ordered_from_best_to_worst() -> None:
    assert sorted(Verdict, key=lambda verdict: verdict.severity) == [
        Verdict.PASS,
        Verdict.INCONCLUSIVE,
        Verdict.FAIL,
        Verdict.ERROR,
    ]


def test_probes_of_a_template_are_one_cluster() -> None:
    assert Probe(id="a", text="Why?", template="why").cluster == "why"
    assert Probe(id="a", text="Why?").cluster == "a"


@pytest.mark.parametrize("identity", ["", "a b", "ä", "a/b"])
def test_the_id_of_a_probe_is_short_ascii(identity: str) -> None:
    with pytest.raises(ValidationError):
        Probe(id=identity, text="Why?")


@pytest.mark.parametrize(
    "odd", [{"temperature": float("nan")}, {"temperature": -0.1}, {"max_new_tokens": 0}, {"seed": -1}]
)
def test_what_is_no_decoding(odd: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Decoding.model_validate(odd)
