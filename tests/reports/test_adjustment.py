from coherence.reports.adjustment import cost
from coherence.reports.html.page import page
from coherence.reports.markdown import markdown
from coherence.reports.terminal import summary
from coherence.vocabulary import Adjusted

HEAD = "the adjustment for many claims cost: 1 criterion fails alone and not among all"
NAMED = (
    "pirate.collinearity.prompt-adapter: cosine: fails alone (p = 0.01), not among 96 criteria (Holm: 0.12)"
)


def test_a_fail_that_the_number_of_claims_explains_is_named_with_its_p(undecided):
    assert cost(undecided) == (HEAD, f"  {NAMED}")


def test_every_report_says_it(undecided):
    assert f"{HEAD}\n{NAMED}" in markdown(undecided)
    lines = summary(undecided, 200, color=False).splitlines()
    first = lines.index(HEAD)
    assert lines[first + 1] == f"  {NAMED}"
    shown = page(undecided)
    assert "What the adjustment for many claims cost" in shown
    assert "fails alone (p = 0.01), not among 96 criteria (Holm: 0.12)" in shown


def test_where_nothing_was_lost_nothing_is_said(results):
    assert cost(results) == ()
    assert "adjustment" not in page(results) + markdown(results) + summary(results, 100, color=False)


def changed(results, **adjusted):
    """The same run, with another adjustment of what fails alone, over and over."""
    first = results.assertions[0]
    criteria = [
        one.model_copy(update={"adjusted": Adjusted(**adjusted)}) if one.adjusted else one
        for one in first.evidence.criteria
    ]
    evidence = first.evidence.model_copy(update={"criteria": tuple(criteria)})
    lost = first.model_copy(update={"evidence": evidence})
    return results.model_copy(update={"assertions": (lost,) * 30})


def test_what_is_not_counted_costs_the_adjustment_nothing(undecided):
    assert cost(changed(undecided, p=1.0, among=0)) == ()


def test_many_are_counted(undecided):
    said = cost(changed(undecided, p=0.12, among=48, families=2))
    assert said[0] == "the adjustment for many claims cost: 30 criteria fail alone and not among all"
    assert said[1].endswith("not among 48 criteria of its family, one of 2 (Holm: 0.12)")
    assert (len(said), said[-1]) == (22, "  10 more are in the results document")
