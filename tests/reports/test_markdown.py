import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from coherence.reports.markdown import (
    COMMENT_MARK,
    MOST_BYTES,
    code,
    markdown,
    write_comment,
    write_markdown,
)
from coherence.vocabulary import Cause, Change, Comparison, ProbeNote, Verdict

NASTY = "</code></pre>```` | \\| \\\\| <script>alert(1)</script> @octocat #1 [x](https://e.org) **b**\n\n# t"
RENDERER = MarkdownIt("commonmark").enable("table")


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the text outside and inside of code."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.plain, self.code = [], set(), "", []
        self.feed(RENDERER.render(text))

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "code" in self.open:
            self.code[-1] += data
        else:
            self.plain += data


def saying(results, text):
    """The same run, with `text` wherever a model or a person may write one."""
    probe = ProbeNote(probe="p", note=text, replies={"bare": text, "prompt": text})

    def change(result):
        evidence = result.evidence and result.evidence.model_copy(
            update={"probes": (probe,), "notes": (text,)}
        )
        return result.model_copy(update={"sentence": text, "suite": text, "evidence": evidence})

    comparison = Comparison(
        baseline=text, started="2026", tolerance=0, notes=(text,),
        changes=(Change(suite=text, assertion=text, statistic=text, kind="regressed", alone="regressed"),),
    )  # fmt: skip
    changed = tuple(change(result) for result in results.assertions)
    return results.model_copy(update={"assertions": changed, "comparison": comparison})


def outcomes(text):
    return [row.split(" | ")[1].removesuffix(" :x:") for row in re.findall(r"^\| `.*$", text, re.M)]


def test_the_worst_comes_first(results, undecided):
    assert outcomes(markdown(results)) == [
        "error", "fail", "unexpected pass", "inconclusive", "expected fail", "pass",
    ]  # fmt: skip
    assert outcomes(markdown(undecided)) == ["inconclusive", "tolerated"]


def test_what_is_red_is_marked_and_has_its_evidence(results):
    text = markdown(results)
    red = [result.id for result in results.assertions if not result.green]
    assert text.count(":x:") == len(red) == 4
    assert [found.strip("`") for found in re.findall(r"^#### (.*)$", text, re.M)] == [
        "counsel.laws.dose-zero",
        "pirate.collinearity.prompt-steering",
        "counsel.collinearity.prompt-steering",
        "counsel.collinearity.prompt-adapter",
    ]
    assert "broken-lamp" in text
    assert "1 pass, 1 fail, 1 inconclusive, 1 error" in text


@pytest.mark.parametrize(
    "text", [NASTY, NASTY * 30, "`", "``` \n```\n<b>", "\x1b[31m\r\x00\u202e\ud800", "|", "\\"]
)
def test_no_text_comes_alive(results, text):
    page = Page(markdown(saying(results, text)))
    ours = {"h2", "h4", "p", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
    assert page.seen <= ours
    assert not {"@", "#", "[", "*", "|"} & set(page.plain)
    assert not {"\x1b", "\r", "\x00", "\u202e"} & set(page.plain + "".join(page.code))
    assert page.plain.count("evidence") == 4


@given(st.text(st.sampled_from("`|\\ <&a\n")) | st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cell_shows_a_text_as_it_is(text):
    from coherence.reports.plain import one_line

    page = Page(f"| a | b |\n| --- | --- |\n| {code(text)} | end |\n")
    (shown,) = page.code
    # A backslash before a bar is shown twice: some readers would otherwise end the cell there.
    wanted = re.sub(r"(\\+)\|", lambda found: found[1] * 2 + "|", one_line(text))
    assert shown.strip() == wanted.strip()
    assert page.plain.split()[-1] == "end"


@pytest.mark.parametrize("most", [2_000, 20_000, 200_000])
def test_it_keeps_within_its_size_and_counts_what_is_left_out(results, most):
    many = results.model_copy(update={"assertions": results.assertions * 200})
    text = markdown(many, most)
    assert len(text.encode()) <= most
    left = [
        int(count) for count in re.findall(r"^(\d+) of (?:1200|800) assertions are left out here", text, re.M)
    ]
    assert len(left) == 2
    assert left[0] == 1200 - len(outcomes(text))
    assert left[1] == 800 - text.count("<summary>evidence")
    assert outcomes(text)[0] == "error"


def test_two_hundred_assertions_of_a_talkative_model_are_within_what_github_takes(results):
    many = saying(results.model_copy(update={"assertions": results.assertions * 34}), "☠ arr |" * 300)
    assert len(markdown(many).encode()) <= MOST_BYTES < 2**20


def test_a_run_of_nothing_says_so(results):
    assert "nothing was evaluated" in markdown(results.model_copy(update={"assertions": ()}))


def test_only_the_file_of_the_step_is_added_to(results, tmp_path, monkeypatch):
    step, other = tmp_path / "step.md", tmp_path / "other.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    for path in (step, other):
        path.write_text("## tests\n")
        write_markdown(results, path)
    assert step.read_text() == f"## tests\n{markdown(results)}"
    assert other.read_text() == markdown(results)


def test_what_others_wrote_counts(results, tmp_path, monkeypatch):
    step = tmp_path / "step.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    step.write_text("x" * (MOST_BYTES - 3_000))
    write_markdown(results.model_copy(update={"assertions": results.assertions * 200}), step)
    assert MOST_BYTES - 3_000 < step.stat().st_size <= MOST_BYTES


def test_the_command_that_runs_it_again_is_there_and_counts(results):
    text = markdown(results.model_copy(update={"commit": "12ab-dirty"}))
    assert "commit `12ab-dirty`, seed 7; to run it again:" in text
    assert "pytest --coherence suites/pirate.yaml \\\n  --coherence-seed=7" in text
    assert "to run it again" not in markdown(results, 400)


def test_controls_are_there_for_green_claims_too(controlled, results):
    (green,) = (one.model_copy(update={"verdict": Verdict.PASS}) for one in controlled.assertions)
    text = markdown(controlled.model_copy(update={"assertions": (green,)}))
    assert "<summary>controls, none of which may pass</summary>" in text
    assert "support by adapter" in text.partition("<summary>controls")[2]
    assert "<summary>controls" not in markdown(results)


def test_controls_go_first_where_there_is_no_room(controlled):
    whole = markdown(controlled)
    assert "<summary>controls" not in markdown(controlled, len(whole.encode()) - 1)


def test_it_begins_with_one_sentence(results):
    heading, sentence, *_ = markdown(results).split("\n\n")
    assert heading == "## coherence"
    assert sentence.startswith("4 of 6 assertions are not as expected; the first: `counsel.laws.dose-zero ")
    assert sentence.endswith(".")


def test_a_red_row_says_what_was_seen_and_why(results):
    cause = Cause(artefact="adapter pirate", sentence="pirate's adapter is counsel's", remedy="look at it")
    blamed = results.assertions[1].model_copy(update={"cause": cause})
    text = markdown(results.model_copy(update={"assertions": (blamed,)}))
    assert (
        "| `cosine is 0.12, expected at least 0.5`<br>"
        "likely cause: `pirate's adapter is counsel's; look at it` |"
    ) in text


def test_a_comment_has_its_mark_and_fits_where_it_goes(results, tmp_path):
    many = saying(results.model_copy(update={"assertions": results.assertions * 50}), "arr |" * 300)
    write_comment(many, tmp_path / "comment.md")
    text = (tmp_path / "comment.md").read_text()
    assert text.startswith(f"{COMMENT_MARK}\n## coherence\n\n")
    assert len(text) < 65_536
