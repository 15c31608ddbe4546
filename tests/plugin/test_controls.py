"""A claim whose control passes as well is not a pass, and every report says so."""

from xml.etree import ElementTree

import pytest

NAME = "pirate-counsel.attractor.steering"
POLES = (
    "property: attractor, poles: [pirate, counsel], regimes: [steering], site: resid_post.2, max_area: 0.1"
)
MUCH_ALIKE = "Talk like a pirate!"
SAID = "the control passes too: nothing in its place, separation of the poles"


@pytest.fixture
def mixed(bench):
    """Judge two poles whose vectors come from their prompts, with a least separation; returns the run."""

    def mixed(least, *arguments, expect="pass", other="Check the logs."):
        bench.suite(f"{{{POLES}, min_separation: {least}, expect: {expect}}}")
        path = bench.path / "a.coherence.yaml"
        before, _, after = path.read_text().partition("  vectors:\n")
        more = "".join(f"  - Is it open on day {day}?\n" for day in range(1, 13))
        after = after[after.index("personas:") :].replace("probes:\n", f"probes:\n{more}")
        extracts = [
            f"    {name}: {{extract: {{persona: {name}, site: resid_post.2, position: prompt_last}}}}\n"
            for name in ("pirate", "counsel", "oncall")
        ]
        after = after.replace("Check the logs.", other)
        path.write_text(f"{before}  vectors:\n{''.join(extracts)}{after}")
        return bench.run(*arguments)

    return mixed


def test_a_lax_claim_is_told_that_its_control_passes_too(bench, mixed):
    run = mixed(0, "--coherence-junit=j.xml", other=MUCH_ALIKE)
    assert run.ret == 1
    (result,) = bench.results().assertions
    assert (result.verdict, result.raw_verdict, result.outcome) == ("inconclusive",) * 3
    assert {criterion.verdict for criterion in result.evidence.criteria} == {"pass"}
    assert result.evidence.passing_control.name == "nothing in its place"
    assert result.sentence.startswith(f"{NAME} is inconclusive: {SAID} ")
    assert result.sentence.endswith(", expected >= 0")
    run.stdout.fnmatch_lines(
        [f"*{SAID}*", "controls, none of which may pass", "  oncall by steering *| pass"]
    )
    run.stdout.fnmatch_lines(["*attractor.steering *inconclusive,*", "* the control", "1 inconclusive in *"])
    (case,) = ElementTree.parse(bench.path / "j.xml").iter("testcase")
    assert SAID in case.find("failure").get("message")
    assert "[[PROPERTY|control.oncall-by-steering=pass]]" in case.find("system-out").text


def test_a_claim_that_tells_them_apart_passes_and_shows_its_controls(bench, mixed):
    mixed(0)
    (lax,) = bench.results().assertions
    poles = lax.evidence.criteria[0].estimate
    others = [control.criterion.estimate for control in lax.evidence.controls]
    assert {other.name for other in others} == {poles.name}
    nearest = max(other.low for other in others)
    assert nearest < poles.low
    run = mixed((nearest + poles.low) / 2, "-v")
    assert run.ret == 0
    run.stdout.fnmatch_lines(
        ["statistic, and what is in its place *", "  attractor.steering*", "      oncall by steering *"]
    )
    (strict,) = bench.results().assertions
    assert strict.verdict == "pass"
    assert [control.name for control in strict.evidence.controls] == [
        "nothing in its place",
        "oncall by steering",
        "random vectors",
    ]
    assert not [control for control in strict.evidence.controls if control.verdict == "pass"]


def test_pytests_own_report_names_the_controls(bench, mixed):
    mixed(0, "--junit-xml=p.xml", other=MUCH_ALIKE)
    named = {p.get("name"): p.get("value") for p in ElementTree.parse(bench.path / "p.xml").iter("property")}
    assert named["coherence.control.oncall by steering"].startswith("pass: separation of the poles")


def test_what_should_fail_has_no_controls(bench, mixed, tmp_path):
    assert mixed(0, expect="{fail: min_separation}").ret == 1
    (result,) = bench.results().assertions
    assert (result.outcome, result.evidence.controls) == ("unexpected pass", ())
