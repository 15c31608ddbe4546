import re
from pathlib import Path

import pytest

from coherence.reports.terminal import summary


def row(text, name):
    (found,) = (line for line in text.splitlines() if line.strip().startswith(name))
    return found


def test_a_row_holds_the_decisive_criterion(results):
    text = summary(results, 100, color=False)
    columns = ["cosine", "0.12", "[0.05,", "0.20]", ">=", "0.5", "24", "fail"]
    assert row(text.split("counsel")[0], "collinearity.prompt-steering").split()[1:] == columns


def test_rows_are_grouped_by_persona_in_order_of_first_appearance(results):
    lines = [line.rstrip() for line in summary(results, 100, color=False).splitlines()]
    assert lines.index("pirate") < lines.index("counsel")
    assert lines[lines.index("pirate") + 3].startswith("  collinearity.adapter-steering")


@pytest.mark.parametrize("shown", ["expected fail", "unexpected pass", "inconclusive", "error"])
def test_each_outcome_has_its_word(results, shown):
    assert shown in summary(results, 100, color=False)


def test_the_last_line_counts_what_happened(results):
    last = summary(results, 100, color=False).splitlines()[-1]
    assert last == "1 pass, 1 fail, 1 inconclusive, 1 error, 1 expected fail, 1 unexpected pass in 12.3 s"


def test_what_fails_alone_and_what_is_tolerated_say_so(undecided):
    text = summary(undecided, 100, color=False)
    assert row(text, "collinearity.prompt-adapter").split()[-1] == "inconclusive,"
    assert row(text, "fail alone")
    assert row(text, "collinearity.prompt-steering").split()[-1] == "tolerated"
    assert text.splitlines()[-1] == "1 inconclusive, 1 tolerated in 1.0 s"


def test_nothing_evaluated_is_never_silent(results):
    empty = results.model_copy(update={"assertions": ()})
    assert summary(empty, 100, color=False).splitlines()[-1] == "nothing was evaluated"


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_breaks_names_and_intervals_where_they_say_something(results, width):
    lines = summary(results, width, color=False).splitlines()
    broken = next(number for number, line in enumerate(lines) if line.startswith("    prompt-steering "))
    assert (
        lines[broken - 1].split()
        == ["collinearity.", "cosine", "0.12", ">=", "0.5", "24", "fail"][: 7 - (width == 60)]
    )
    assert lines[broken].split() == ["prompt-steering", "[0.05,", "0.20]"]


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_it_fits(results, width, ascii_only):
    long = results.assertions[0].model_copy(update={"id": f"pirate.collinearity.{'very-long-' * 12}"})
    longer = results.model_copy(update={"assertions": (*results.assertions, long)})
    assert max(map(len, summary(longer, width, False, ascii_only).splitlines())) <= width


def test_ascii_only_is_ascii(results):
    assert not summary(results, 100, color=False).isascii()
    assert summary(results, 100, color=False, ascii_only=True).isascii()


def test_colour_only_where_asked_for(results):
    plain = summary(results, 100, color=False)
    assert "\x1b" not in plain
    assert "\x1b[31mfail" in summary(results, 100, color=True)


def test_a_control_that_passes_too_is_in_the_row(controlled):
    text = summary(controlled, 120, color=False)
    assert "the control passes" in " ".join(text.split())
    assert text.splitlines()[-1] == "1 inconclusive in 1.0 s"


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_name_is_broken_inside_a_word_and_no_column_clipped(results, width):
    long = results.assertions[1].model_copy(update={"id": "pirate.known.adapter-adapter+steering"})
    text = summary(results.model_copy(update={"assertions": (*results.assertions, long)}), width, color=False)
    words = set(re.findall(r"[a-z]+", text))
    for part in ("collinearity", "known", "prompt", "adapter", "steering", "inconclusive", "expected"):
        assert part in words
    known = {word for result in (*results.assertions, long) for word in re.split(r"[.+-]", result.id)}
    in_names = {
        word
        for line in text.splitlines()
        if line.startswith("  ")
        for word in re.split(r"[.+-]", line.split("  ")[1])
    }
    assert in_names - {""} <= known


def test_a_red_run_says_what_explains_it_and_where_to_look(results):
    lines = summary(results, 100, color=False).splitlines()
    assert lines[-4].startswith("4 of 6 assertions are not as expected; the first: counsel.laws.dose-zero ")
    assert lines[-2] == "look closer: coherence explain counsel.laws.dose-zero"
    elsewhere = summary(results, 100, color=False, document=Path("out/r.json"))
    assert "look closer: coherence explain counsel.laws.dose-zero out/r.json" in elsewhere
    assert "look closer" not in summary(results, 100, color=False, document=None)
    green = results.model_copy(update={"assertions": results.assertions[:1]})
    assert "look closer" not in summary(green, 100, color=False)
