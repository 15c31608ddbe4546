"""Draw what the HTML report of a red run begins with, as one SVG that takes no browser: docs/report.svg.

    python docs/picture.py tests/docs/red-results.json docs/report.svg

It shows the head of the report and what of its table is not as expected; of the first assertion in it, what
was seen, the likely cause, the sentence, the chart and a probe's replies. Words, order, chart and colours are
the report's own.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import wrap
from typing import TypeAlias
from xml.sax.saxutils import escape

from coherence.reports.html.forest import chart
from coherence.reports.html.page import page
from coherence.reports.order import worst_first
from coherence.reports.red import likely_cause
from coherence.results import AssertionResult, Results
from coherence.vocabulary import ProbeNote

Word: TypeAlias = tuple[str, bool]
"""A word, and whether it is of a marker."""

WIDE, LEFT, LINE = 900, 28, 21
COLUMNS = {"Verdict": LEFT, "Assertion": 142, "Statistic": 378, "Estimate": 600, "Expected": 750, "n": 850}
SENTENCE, REPLY = 118, 56  # characters in a line
LARGER = 1.4  # than the chart is in the report
FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"


class Picture:
    """Text and drawings from the top down; `y` is how far down."""

    def __init__(self) -> None:
        self.y = 40
        self.parts: list[str] = []

    def say(self, text: str, x: int = LEFT, size: int = 14, color: str = "ink", bold: bool = False) -> None:
        """Write a line at `y`."""
        weight = ' font-weight="600"' if bold else ""
        at = f'x="{x}" y="{self.y}" font-size="{size}" fill="var(--{color})"'
        self.parts.append(f"<text {at}{weight}>{escape(text)}</text>")

    def words(self, words: Iterable[Word], x: int) -> None:
        """Write a line at `y`, in which markers stand out as they do in the report."""
        said = [
            f'<tspan font-weight="600">{escape(text)}</tspan>' if is_marker else escape(text)
            for text, is_marker in words
        ]
        at = f'x="{x}" y="{self.y}" font-size="14" fill="var(--ink)"'
        self.parts.append(f"<text {at}>{' '.join(said)}</text>")

    def rule(self) -> None:
        """Draw a line across, below the text at `y`."""
        ends = f'x1="{LEFT}" x2="{WIDE - LEFT}" y1="{self.y + 7}" y2="{self.y + 7}"'
        self.parts.append(f'<line {ends} stroke="var(--line)"/>')

    def place(self, drawing: str) -> None:
        """Put a drawing at `y`, larger than it is, and go on below it."""
        self.parts.append(f'<g transform="translate({LEFT},{self.y}) scale({LARGER})">{drawing}</g>')
        height = re.search(r' height="([\d.]+)"', drawing)
        self.y += round(LARGER * float(height[1])) if height else 0

    def svg(self, style: str) -> str:
        """Return the whole, with the light colours of the report's style."""
        size = f'width="{WIDE}" height="{self.y}" viewBox="0 0 {WIDE} {self.y}"'
        inside = "\n".join(
            ['<rect width="100%" height="100%" rx="8" fill="var(--page)" stroke="var(--line)"/>', *self.parts]
        )
        colors = dict(re.findall(r"--([\w-]+): (#\w+)", style.partition("@media")[0]))
        painted = re.sub(r"var\(--([\w-]+)\)", lambda name: colors[name[1]], inside)
        painted = painted.replace("currentColor", colors["ink"])
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {FONT}>\n{painted}\n</svg>\n'


def drawn(results: Results) -> str:
    """Draw the report of a run that is not as expected."""
    report = page(results)
    red = [result for result in worst_first(results.assertions) if not result.green]
    if not red:
        raise SystemExit("everything is as expected: this draws what is not")
    picture = Picture()
    _head(picture, results, _between(report, '<h1 class="answer red">', "</h1>"))
    _table(picture, red)
    _assertion(picture, red[0])
    return picture.svg(_between(report, "<style>", "</style>"))


def _between(text: str, begin: str, end: str) -> str:
    return re.sub(r"</?bdi>", "", text.partition(begin)[2].partition(end)[0])


def _head(picture: Picture, results: Results, answer: str) -> None:
    picture.say("Coherence report", color="muted", bold=True)
    picture.y += 30
    picture.say(answer, size=24, color="fail", bold=True)
    picture.y += 24
    found = sorted(Counter(result.outcome for result in results.assertions).items())
    picture.say(" · ".join(f"{count} {outcome}" for outcome, count in found), color="muted")
    picture.y += 40


def _table(picture: Picture, red: list[AssertionResult]) -> None:
    for column, x in COLUMNS.items():
        picture.say(column, x, color="muted")
    picture.rule()
    for result in red:
        picture.y += LINE + 6
        picture.say(f"✗ {result.outcome}", COLUMNS["Verdict"], color="fail", bold=True)
        picture.say(result.id, COLUMNS["Assertion"], color="link")
        if result.evidence:
            decisive = result.evidence.decisive
            picture.say(decisive.estimate.name, COLUMNS["Statistic"])
            picture.say(decisive.estimate.spread, COLUMNS["Estimate"])
            picture.say(decisive.threshold, COLUMNS["Expected"])
            picture.say(str(decisive.estimate.n), COLUMNS["n"])
        picture.rule()
    picture.y += 48


def _assertion(picture: Picture, result: AssertionResult) -> None:
    picture.say(result.id, size=17, bold=True)
    picture.y += 3
    for said, color in _grounds(result):
        for line in wrap(said, SENTENCE):
            picture.y += LINE
            picture.say(line, color=color)
    if result.evidence is None:
        picture.y += LINE
        return
    picture.y += 2 * LINE
    decided = f"What decided comes first: {result.evidence.decisive.estimate.name}."
    read = "Dots are estimates, lines their 95 % intervals, the shaded range is what was expected."
    picture.say(f"{decided} {read}", size=13, color="muted")
    picture.y += 12
    if forest := chart(result.evidence):
        picture.place(str(forest))
    picture.y += LINE
    for note in [note for note in result.evidence.probes if note.replies][:1]:
        _replies(picture, note)


def _grounds(result: AssertionResult) -> Iterator[tuple[str, str]]:
    """Yield what the report says before its numbers, and the sentence with them, each with its colour."""
    if result.evidence and result.evidence.fact:
        yield result.evidence.fact, "ink"
    if cause := likely_cause(result):
        yield f"Likely cause: {cause}.", "ink"
    yield result.sentence, "muted"


def _replies(picture: Picture, note: ProbeNote) -> None:
    picture.say(note.probe, bold=True)
    for line in wrap(note.question or "", SENTENCE):
        picture.y += LINE
        picture.say(line, color="muted")
    top, ends = picture.y + LINE + 4, [picture.y]
    for column, (regime, reply) in enumerate([*note.replies.items()][:2]):
        picture.y, x = top, LEFT + column * (WIDE // 2 - 10)
        picture.say(regime, x, color="muted")
        for words in _lines(reply, note.marks.get(regime, ())):
            picture.y += LINE
            picture.words(words, x)
        ends.append(picture.y)
    picture.y = max(ends) + LINE


def _lines(reply: str, marks: Iterable[tuple[int, int]]) -> Iterator[list[Word]]:
    """Break a reply into lines of words, each with whether a marker is in it."""
    for paragraph in re.finditer(r"[^\n]+", reply):
        line: list[Word] = []
        for found in re.finditer(r"\S+", paragraph[0]):
            start, end = (paragraph.start() + at for at in found.span())
            word = found[0], any(start < last and first < end for first, last in marks)
            if line and sum(len(text) + 1 for text, _ in line) + len(word[0]) > REPLY:
                yield line
                line = []
            line.append(word)
        if line:
            yield line


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(drawn(Results.read(Path(sys.argv[1]))), encoding="utf-8")
