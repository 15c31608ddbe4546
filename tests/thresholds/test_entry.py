"""Entries: what an author wrote in one place."""

from coherence.thresholds.entry import entries

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
    assert [entry.is_law for entry in found] == [True, False, True, False]
    assert [assertion for entry in found for assertion in entry.assertions] == list(suite.assertions)
    assert [entry.place for entry in found] == list(
        dict.fromkeys(assertion.place for assertion in suite.assertions)
    )


def test_numbers_are_those_written_or_the_default(load):
    _, markers, _, attractor = entries(load(ASSERTIONS))
    assert markers.numbers("min_agreement") == (0.6,)
    assert attractor.numbers("min_separation") == (0.25,)
    assert attractor.numbers("tipping") == (0.25, 0.75)


def test_nothing_is_proposed_where_halves_of_the_probes_say_nothing(load):
    tasks = "tasks: [Why?, Where to?, Who is it?, When was that?, How far?]"
    expected, own, of_the_suite = entries(
        load(
            "  - {property: markers, min_agreement: 1, max_difference: 0.2, min_recovery: 1, expect: fail}\n"
            f"  - {{property: factorial, id: own, sites: resid_post.2, {tasks}}}\n"
            "  - {property: factorial, sites: resid_post.2}\n"
        )
    )
    assert expected.uncalibrated == "is expected to fail"
    assert own.uncalibrated == "has tasks of its own, so halves of the suite's probes do not vary it"
    assert of_the_suite.uncalibrated is None
