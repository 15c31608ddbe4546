"""Entries: what an author wrote in one place."""

from coherence.thresholds.entry import entries

ASSERTIONS = """\
  - {property: commutativity, laws: [dose-zero, vector-inverse]}
  - {property: markers, id: heard, min_agreement: 0.6, max_difference: 0.25, min_recovery: 0.7}
  - {property: attractor, poles: [pirate, counsel], site: resid_post.2, max_area: 1}
"""


def test_every_entry_has_all_of_its_assertions(load):
    suite = load(ASSERTIONS)
    found = list(entries(suite))
    assert [entry.index for entry in found] == [0, 1, 2]
    assert [entry.name for entry in found] == ["commutativity", "heard", "attractor"]
    assert [entry.is_law for entry in found] == [True, False, False]
    assert [assertion for entry in found for assertion in entry.assertions] == list(suite.assertions)
    assert [entry.place for entry in found] == list(
        dict.fromkeys(assertion.place for assertion in suite.assertions)
    )


def test_numbers_are_those_written_or_the_default(load):
    _, markers, attractor = entries(load(ASSERTIONS))
    assert markers.numbers("min_agreement") == (0.6,)
    assert attractor.numbers("min_separation") == (0.25,)
    assert attractor.numbers("tipping") == (0.25, 0.75)
