import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty import NASTY, saying
from rich.cells import cell_len

from coherence.properties.columns import SITES, WEIGHTS
from coherence.reports.grounds import explain
from coherence.vocabulary import Cause, Curve, ProbeNote, Series, Table


@pytest.fixture
def failed(results):
    return results.assertions[1]


def with_evidence(result, **changes):
    return result.model_copy(update={"evidence": result.evidence.model_copy(update=changes)})


def section(text, title):
    return text.split(f"\n{title}\n")[1].split("\n\n")[0].splitlines()


def head(result, **given):
    return explain(result, **given).split("\n\n")[0].splitlines()


def test_what_was_seen_comes_first_then_where_to_look_then_the_numbers(failed):
    assert head(with_evidence(failed, fact="markers of pirate are in 0% by adapter")) == [
        f"{failed.id} fails: markers of pirate are in 0% by adapter",
        f"look closer: coherence explain {failed.id}",
        "in numbers: cosine 0.12 [0.05, 0.20], expected >= 0.5 (n = 24)",
        "stated in suites/pirate.yaml:12",
    ]


def test_where_no_fact_is_known_the_criterion_that_decided_is_said_in_words(failed):
    assert head(failed)[0] == f"{failed.id} fails: cosine is 0.12, expected at least 0.5"


def test_the_likely_cause_stands_below_what_was_seen(failed):
    turned = with_evidence(failed, cause="its sign may be turned")
    assert head(turned)[1] == "likely cause: its sign may be turned"
    cause = Cause(artefact="adapter pirate", sentence="pirate's adapter is counsel's", remedy="look at it")
    # What files show is surer than what measurements do.
    named = turned.model_copy(update={"cause": cause})
    assert head(named)[1] == "likely cause: pirate's adapter is counsel's; look at it"
    follows = named.model_copy(update={"cause": cause.model_copy(update={"follows": True})})
    assert head(follows)[1] == (
        "likely cause: it follows from this: pirate's adapter is counsel's; look at it"
    )


def test_what_is_green_has_no_cause_and_nothing_to_look_closer_at(results):
    passed = with_evidence(results.assertions[0], cause="its sign may be turned")
    assert [line.partition(":")[0] for line in head(passed)] == [
        f"{passed.id} passes", "in numbers", "stated in suites/pirate.yaml",
    ]  # fmt: skip


def test_a_command_to_look_closer_works_wherever_the_results_are(failed):
    assert head(failed, document=Path("out dir/r.json"))[1] == (
        f"look closer: coherence explain {failed.id} 'out dir/r.json'"
    )
    replay = "coherence replay a.yaml pirate.laws.x '{}'"
    assert head(failed.model_copy(update={"replay": replay}))[1] == f"look closer: {replay}"


def test_every_criterion_has_a_row(failed):
    _, _, decisive, margin = section(explain(failed), "criteria")
    cells = [cell.strip() for cell in decisive.split("|")]
    assert cells == ["cosine", "0.12", "[0.05, 0.20]", ">= 0.5", "24", "fail"]
    assert margin.endswith("| pass")


def test_an_unreliable_criterion_says_why(failed):
    criterion = failed.evidence.criteria[0].model_copy(update={"unreliable": "ceiling 0.45 is below 0.6"})
    text = explain(with_evidence(failed, criteria=(criterion,)))
    assert "inconclusive: ceiling 0.45 is below 0.6" in " ".join(text.split())


def test_the_curve_is_thinned_to_its_ends_and_extremes(failed):
    _, _, *rows = section(explain(failed), "over blocks passed")
    sites = [row.split()[0] for row in rows]
    assert len(rows) == 10
    assert {"resid_post.0", "resid_post.1", "resid_post.21", "resid_post.29"} <= set(sites)
    assert sites == sorted(sites, key=lambda site: int(site.split(".")[1]))


def test_a_short_curve_is_shown_whole_and_a_gap_as_a_dash(failed):
    position = Series(values=(0.0, None, float("nan")))
    curve = Curve(over=WEIGHTS, at=("0", "0.5", "1"), series={"position": position})
    _, _, *rows = section(explain(with_evidence(failed, curve=curve)), "over weight of the mixture")
    assert [row.split()[-1] for row in rows] == ["0.00", "-", "undefined"]


@given(st.lists(st.none() | st.floats(), min_size=1, max_size=40))
def test_any_curve_is_shown_in_ten_rows_at_most_with_both_ends(results, column):
    at = tuple(f"resid_pre.{row}" for row in range(len(column)))
    line = Series(values=tuple(column))
    curve = Curve(over=SITES, at=at, series={"raw": line, "twice": line})
    _, _, *rows = section(explain(with_evidence(results.assertions[1], curve=curve)), "over blocks passed")
    sites = [row.split()[0] for row in rows]
    assert (sites[0], sites[-1]) == (at[0], at[-1])
    assert len(rows) <= 10
    assert len(rows) == len(at) or len(at) > 10


def test_replies_stand_side_by_side(failed):
    shown = section(explain(failed), "replies to lost-parcel")
    assert [cell.strip() for cell in shown[0].split("|")] == ["bare", "prompt"]
    left, right = shown[2].split(" | ")
    assert left.startswith("I'm sorry to hear that.")
    assert right.startswith("Arr, matey!")
    assert max(map(len, shown)) <= 100


def test_a_long_reply_is_cut_and_says_so(failed):
    probe = ProbeNote(probe="long", note="", replies={"bare": "arr " * 1000, "prompt": "aye"})
    text = explain(with_evidence(failed, probes=(probe,)))
    assert len(text) < 4000
    assert "3400 more characters are in the results" in text


def test_more_probes_than_shown_are_counted(failed):
    probes = tuple(ProbeNote(probe=f"p{index}", note="bad") for index in range(8))
    text = explain(with_evidence(failed, probes=probes))
    assert len(section(text, "worst probes (5 of 8)")) == 2 + 5


def test_an_error_has_its_sentence_and_place_alone(results):
    error = results.assertions[-1]
    assert explain(error) == f"{error.sentence}\nstated in suites/pirate.yaml:12"


@given(reply=st.text(), note=st.text(), width=st.integers(20, 160))
def test_any_text_is_shown_within_the_width(results, reply, note, width):
    probe = ProbeNote(probe="p", note=note, replies={"bare": reply, "prompt": reply, "adapter": reply})
    shown = explain(with_evidence(results.assertions[1], probes=(probe,), notes=(note,)), width)
    _, _, below = shown.partition("\n\n")
    assert all(cell_len(line.replace(r"\x3a:", "::", 1)) <= width for line in below.splitlines())


# As GitHub's runner finds a command in a line of a log, of either kind.
OBEYED = re.compile(r"^\s*::|##\w*\[")


@pytest.mark.parametrize(
    "text", ["::error::arr", "a\n \u00a0::add-mask::e", "x ##[group]y", "###vso[task]", NASTY]
)
def test_no_line_of_it_is_obeyed_by_a_runner(results, text):
    for result in saying(results, text).assertions:
        assert not [line for line in explain(result, 40).splitlines() if OBEYED.match(line)]


@given(text=st.text(":#[\n avso"), width=st.integers(20, 60))
def test_no_text_is_obeyed_wherever_its_lines_are_folded(results, text, width):
    said = saying(results, text).assertions[1]
    assert not [line for line in explain(said, width).splitlines() if OBEYED.search(line)]


def test_what_would_be_obeyed_is_written_out_and_the_rest_is_as_it_was(failed):
    text = explain(with_evidence(failed, notes=("::error::std::arr", "C++ a::b, ## [c]", "##[d]")))
    assert section(text, "notes") == [r"\x3a:error::std::arr", "C++ a::b, ## [c]", r"\x23#[d]"]


def test_megabytes_are_cut_before_they_are_laid_out(failed):
    many = "arr \x00" * 200_000
    probe = ProbeNote(probe=many, note=many, replies={"bare": many})
    started = time.perf_counter()
    text = explain(with_evidence(failed, probes=(probe,), notes=(many,)))
    assert time.perf_counter() - started < 1
    assert len(text) < 10_000
    assert " more characters are in the results" in " ".join(text.split())


def test_every_control_is_below_the_persona_s_own_value_of_each_statistic(controlled):
    lines = explain(controlled.assertions[0], width=140).splitlines()
    assert lines[0].endswith(
        ": the control passes too: random vectors, cosine is 0.62, expected at least 0.5"
    )
    assert "the control passes too: random vectors, cosine 0.62 [0.57, 0.67], expected >= 0.5" in lines[2]
    first = lines.index("controls, none of which may pass") + 3
    assert [[cell.rstrip() for cell in line.split("| ")] for line in lines[first : first + 8]] == [
        ["cosine", "0.81 [0.75, 0.87]", ">= 0.5", "pass"],
        ["  counsel by adapter", "0.10 [0.05, 0.15]", ">= 0.5", "fail"],
        ["  support by adapter", "0.55 [0.53, 0.57]", ">= 0.5", "met"],
        ["  random vectors", "0.62 [0.57, 0.67]", ">= 0.5", "pass"],
        ["margin over foreign", "0.40 [0.30, 0.50]", ">= 0.1", "pass"],
        ["  support by adapter", "-0.20 [-0.25, -0.15]", ">= 0.1", "fail"],
        ["  random vectors", "0.30 [0.25, 0.35]", ">= 0.1", "met"],
        ["  a neutral prompt", r"not measured: the prompt is too long\x1b", "", "error"],
    ]


def test_a_square_table_has_numbered_columns_and_all_of_its_cells(failed):
    ways = tuple(f"steering-steering-{place}" for place in range(13))
    cells = tuple(tuple(None if one == other else -0.25 for other in ways) for one in ways)
    numbers = Table(name="directions: cosine", rows=ways, columns=ways, cells=cells)
    head, first, *rest = section(
        explain(with_evidence(failed, tables=(numbers,)), width=120), "directions: cosine"
    )
    assert head.split() == [str(place + 1) for place in range(13)]
    assert first.split() == ["1", "steering-steering-0", "-", *["-0.25"] * 12]
    assert len(rest) == 12


def test_another_table_names_its_columns(failed):
    numbers = Table(
        name="who wins", rows=("chimera",), columns=("lean", "shows pirate"), cells=((-0.5, 1.0),)
    )
    head, row = section(explain(with_evidence(failed, tables=(numbers,))), "who wins")
    assert head.split() == ["lean", "shows", "pirate"]
    assert row.split() == ["chimera", "-0.50", "1.00"]
