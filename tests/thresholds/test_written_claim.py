"""Entries: what an author wrote in one place."""

from coherence.thresholds.written_claim import entries

ASSERTIONS = """\
  - {property: commutativity, laws: [dose-zero, vector-inverse]}
  - {property: markers, id: heard, min_agreement: 0.6, max_difference: 0.25, min_recovery: 0.7}
  - {property: worst, of: [pirate, counsel], adapter: pirate, sums: [adapter], max_kl: 1}
  - {property: attractor, poles: [pirate, counsel], site: resid_post.2, max_area: 1}
"""


def test_every_entry_has_all_of_its_assertions(load):
    suite = load(ASSERTIONS)
    found = list(entries(suite))
    assert [entry.index for entry in found] == [0, 1, 2, 3]
    assert [entry.name for entry in found] == ["commutativity", "heard", "worst", "attractor"]
    assert [entry.claims for entry in found] == [(), found[1].assertions, (), found[3].assertions]
    assert [assertion for entry in found for assertion in entry.assertions] == list(suite.assertions)
    assert [entry.place for entry in found] == list(
        dict.fromkeys(assertion.place for assertion in suite.assertions)
    )


def test_numbers_are_those_written_or_the_default(load):
    _, markers, _, attractor = entries(load(ASSERTIONS))
    assert markers.numbers("min_agreement") == (0.6,)
    assert attractor.numbers("min_separation") == (0.25,)
    assert attractor.numbers("tipping") == (0.25, 0.75)


def test_a_key_under_which_nothing_is_asked_has_no_numbers(load):
    (factorial,) = entries(load("  - {property: factorial, sites: resid_post.2}\n"))
    assert factorial.numbers("max_recovered") == ()
    assert factorial.numbers("min_cosine") == (0.8,)


def test_a_search_that_goes_with_a_claim_is_none_itself(load):
    ways = "regimes: [adapter, steering], site: resid_post.2, max_gap: 1, search: 4"
    (entry,) = entries(load(f"  - {{property: gap, poles: [pirate, counsel], {ways}}}\n"))
    assert [assertion.case.slug for assertion in entry.assertions] == ["every-way", "search"]
    assert [assertion.case.slug for assertion in entry.claims] == ["every-way"]
