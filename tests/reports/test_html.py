import base64
import hashlib
import re
import shlex
from itertools import pairwise
from math import inf, isfinite, nan

import lxml.html
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nasty import NASTY, saying

from coherence.properties.columns import SITES, TURNS, WEIGHTS
from coherence.reports.html import curve, forest, palette, write_html
from coherence.reports.html.differing import differences
from coherence.reports.html.page import page
from coherence.reports.html.text import LIMIT, attribute, marked, plain, shown
from coherence.results import Results
from coherence.vocabulary import (
    Abscissa,
    Change,
    Comparison,
    Control,
    Criterion,
    Curve,
    Difference,
    Estimate,
    Evidence,
    ProbeNote,
    Series,
    Table,
    Threshold,
    Zone,
)
from coherence.vocabulary.evidence import number

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
BAD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def parsed(results):
    return lxml.html.document_fromstring(page(results))


def text_of(element):
    return " ".join(element.text_content().split())


def values(element):
    return [float(found.get("value")) for found in element.iter("data")]


def article(document, name):
    (found,) = (one for one in document.iter("article") if text_of(one.find(".//h3")) == name)
    return found


def with_evidence(results, **changes):
    """The same run, whose second assertion has other evidence."""
    first, second, *rest = results.assertions
    second = second.model_copy(update={"evidence": second.evidence.model_copy(update=changes)})
    return results.model_copy(update={"assertions": (first, second, *rest)})


@pytest.fixture(scope="module")
def document(results):
    return parsed(results)


def test_the_verdicts_come_first_and_the_worst_of_them_first(document, results):
    table = next(document.iter("table"))
    rows = table.findall("tbody/tr")
    names = [text_of(row.find("th")) for row in rows]
    assert sorted(names) == sorted(result.id for result in results.assertions)
    outcomes = [text_of(row.find("td")) for row in rows]
    green = ["pass", "expected fail"]
    assert outcomes[0] == "error"
    assert outcomes[-2:] in (green, green[::-1])
    assert document.find(".//main/section").get("id") == "verdicts"


def test_a_verdict_leads_to_its_assertion(document, results):
    articles = {found.get("id"): found for found in document.iter("article")}
    assert len(articles) == len(results.assertions)
    for row in next(document.iter("table")).findall("tbody/tr"):
        link = row.find(".//a")
        target = articles[link.get("href").removeprefix("#")]
        assert text_of(target.find(".//h3")) == text_of(link)


def test_what_is_not_as_expected_is_open_and_the_rest_is_closed(document, results):
    for result in results.assertions:
        found = article(document, result.id)
        assert result.sentence in text_of(found)
        assert f"{result.suite}:{result.line}" in text_of(found)
        assert (found.find("details").get("open") is None) == result.green


def test_the_head_says_how_many_are_not_as_expected(document, results):
    missed = sum(not result.green for result in results.assertions)
    (headline,) = document.findall(".//h1")
    assert text_of(headline) == f"{missed} of 6 assertions are not as expected"
    assert headline.get("class") == "answer red"
    assert not [
        one for one in document.iter() if one is not headline and "answer" in (one.get("class") or "")
    ]


def test_nothing_wrong_is_said_so(results):
    fine = results.model_copy(update={"assertions": results.assertions[:1]})
    assert text_of(parsed(fine).find(".//h1[@class='answer green']")) == "All 1 are as expected"


def test_nothing_at_all_is_no_success(results):
    nothing = parsed(results.model_copy(update={"assertions": ()}))
    assert text_of(nothing.find(".//h1[@class='answer red']")) == "Nothing was evaluated"


def test_numbers_are_those_of_the_document(document, results):
    for result in results.assertions:
        if result.evidence is None:
            continue
        rows = article(document, result.id).findall(".//tr[@class='criterion']")
        estimates = [criterion.estimate for criterion in result.evidence.criteria]
        assert [values(row) for row in rows] == [[e.value, e.low, e.high, e.n] for e in estimates]
        (row,) = (
            row
            for row in next(document.iter("table")).findall("tbody/tr")
            if text_of(row.find("th")) == result.id
        )
        e = result.evidence.decisive.estimate
        assert values(row) == [e.value, e.low, e.high, e.n]


def test_an_estimate_without_a_value_or_an_end_is_said_in_words(results):
    criterion = results.assertions[1].evidence.criteria[0]
    unknown = Estimate(name="unknown", value=nan, low=-inf, high=inf, n=8)
    endless = Estimate(name="endless", value=1.0, low=-inf, high=inf, n=8)
    exact = Estimate(name="exact", value=1.0, low=1.0, high=1.0, n=8)
    criteria = tuple(criterion.model_copy(update={"estimate": one}) for one in (unknown, endless, exact))
    found = article(parsed(with_evidence(results, criteria=criteria)), results.assertions[1].id)
    said = [text_of(row.findall("td")[0]) for row in found.findall(".//tr[@class='criterion']")]
    assert said == ["undefined", "1.00 [-inf, inf]", "1.00"]


def test_p_values_are_shown_alone_and_among_all(undecided):
    row = article(parsed(undecided), undecided.assertions[0].id).findall(".//tr[@class='criterion']")[1]
    assert [text_of(cell) for cell in row.findall("td")[3:]] == [
        "0.01",
        "0.12 of 96",
        "inconclusive fails alone",
    ]


def test_a_control_that_passes_is_said_in_the_table_and_in_the_assertion(controlled):
    document = parsed(controlled)
    assert text_of(next(document.iter("table")).find("tbody/tr/td")) == "inconclusive the control passes too"
    rows = document.findall(".//tr[@class='control']")
    assert [text_of(row.findall("td")[-1]) for row in rows] == ["fail", "met", "fail", "pass", "met", "error"]
    assert [text_of(row.find("th")) for row in rows] == [
        "counsel by adapter",
        "support by adapter",
        "support by adapter",
        "random vectors",
        "random vectors",
        "a neutral prompt",
    ]
    assert text_of(rows[-1].find("td")) == r"not measured: the prompt is too long\x1b"
    evidence = controlled.assertions[0].evidence
    own = {one.estimate.name: one.estimate for one in evidence.criteria}
    assert [values(row) for row in rows] == [
        [e.value, e.low, e.high, o.value, o.low, o.high, e.n]
        for control in evidence.controls
        for criterion in control.criteria
        for e, o in [(criterion.estimate, own[criterion.estimate.name])]
    ] + [[]]


def test_a_control_is_drawn_below_the_estimate_that_it_was_judged_by(controlled):
    drawn = str(forest.chart(controlled.assertions[0].evidence))
    order = re.findall(
        r">(cosine|margin over foreign|counsel by adapter|support by adapter|random vectors)<", drawn
    )
    assert order == [
        *("cosine", "counsel by adapter", "support by adapter", "random vectors"),
        *("margin over foreign", "support by adapter", "random vectors"),
    ]


def test_every_curve_is_drawn_and_written_out(document, results):
    curved = [result for result in results.assertions if result.evidence]
    figures = document.findall(".//div[@class='charts']/figure")
    assert sorted(text_of(one.find("figcaption/a")) for one in figures) == sorted(one.id for one in curved)
    for figure in figures:
        drawn = " ".join(figure.find(".//svg").itertext())
        assert all(name in drawn for name in ("raw", "specific", "ceiling", "blocks passed"))
    found = curved[0].evidence.curve
    (rows,) = article(document, curved[0].id).xpath(".//table[caption='over blocks passed']/tbody")
    said = [[text_of(cell) for cell in row.findall("td")] for row in rows]
    assert said == [
        [number(value) if value is not None else "-" for value in row]
        for row in zip(*(line.values for line in found.series.values()), strict=True)
    ]


def strokes(results, drawn):
    """The chart of a curve that is the only one of its page, and the colours of its lines."""
    alone = with_evidence(results, curve=drawn).assertions[1:2]
    (chart,) = parsed(results.model_copy(update={"assertions": alone})).findall(
        ".//div[@class='charts']/figure//svg"
    )
    paths = chart.xpath(".//*[contains(@class, 'mark-line')]/*[local-name()='path']")
    return chart, [path.get("stroke") for path in paths]


def test_a_mixture_has_its_interval_and_the_diagonal(results):
    mixed = Series(values=(0.0, 0.6, 1.0), low=(0.0, 0.5, 1.0), high=(0.0, 0.7, 1.0))
    chart, lines = strokes(results, Curve(over=WEIGHTS, at=("0", "0.5", "1"), series={"m": mixed}))
    assert set(lines) == {"var(--series-1)", "var(--series-2)"}
    assert "a linear response" in text_of(chart)
    (area,) = chart.xpath(".//*[contains(@class, 'mark-area')]/*[local-name()='path']")
    assert area.get("fill") == "var(--series-1)"


def test_every_series_has_its_own_interval(results):
    lines = {
        "raw": Series(values=(0.1, 0.2)),
        "one": Series(values=(0.1, 0.2), low=(0.0, 0.1), high=(0.2, 0.3)),
        "other": Series(values=(0.5, 0.6), low=(0.4, 0.5), high=(0.6, 0.7)),
    }
    chart, _ = strokes(results, Curve(over=Abscissa(title="dose"), at=("0", "1"), series=lines))
    areas = chart.xpath(".//*[contains(@class, 'mark-area')]/*[local-name()='path']")
    assert [area.get("fill") for area in areas] == ["var(--series-2)", "var(--series-3)"]


def test_an_axis_that_nobody_knew_is_drawn_as_any_other(results):
    over = Abscissa(title="moon phase", diagonal="as the moon says")
    curve = Curve(over=over, at=("0", "1"), series={"howls": Series(values=(0.0, 0.9))})
    chart, _ = strokes(results, curve)
    assert all(text in " ".join(chart.itertext()) for text in ("moon phase", "as the moon says", "howls"))


def test_a_site_lies_at_its_depth_wherever_a_curve_begins(results):
    at = tuple(f"resid_post.{block}" for block in range(10, 20))
    line = Series(values=tuple(range(10)))
    curve = Curve(over=Abscissa(title="blocks passed"), at=at, series={"one": line})
    chart, _ = strokes(results, curve)
    assert {"12", "20"} <= set(chart.itertext())


def test_of_the_planes_of_a_space_one_is_seen_and_the_others_are_chosen(in_a_space):
    planes = parsed(in_a_space).findall(".//div[@class='charts']/figure/details")
    assert [text_of(plane.find("summary")) for plane in planes] == [
        *("assistant axis and first component", "assistant axis and second component"),
        "first component and second component",
    ]
    assert len({plane.get("name") for plane in planes}) == 1
    assert [plane.get("open") is not None for plane in planes] == [True, False, False]


def test_a_matrix_says_what_its_numbers_are(results):
    found = Table(name="who is told", rows=("a",), columns=("b",), cells=((0.5,),), matrix=True)
    alone = with_evidence(results, curve=None, tables=(found,)).assertions[1:2]
    (figure,) = parsed(results.model_copy(update={"assertions": alone})).findall(
        ".//div[@class='charts']/figure"
    )
    assert "who is told" in map(text_of, figure.findall("p"))


def test_a_series_has_one_colour_in_all_charts(results):
    other = Curve(
        over=Abscissa(title="dose"),
        at=("0", "1"),
        series={"new": Series(values=(0.0, 1.0)), "specific": Series(values=(0.1, 0.2))},
    )
    figures = parsed(with_evidence(results, curve=other)).findall(".//div[@class='charts']/figure//svg")
    inks = [dict(legend(chart)) for chart in figures]
    assert {frozenset(one) for one in inks} == {
        frozenset({"raw", "specific", "ceiling"}),
        frozenset({"new", "specific"}),
    }
    assert len({one["specific"] for one in inks}) == 1
    everywhere = {name: ink for one in inks for name, ink in one.items()}
    assert len(set(everywhere.values())) == len(everywhere) == 4


def legend(chart):
    """Each name in the legend of a chart, with the colour of its line there."""
    for name in chart.iter("text"):
        line = name.getprevious()
        if line is not None and line.tag == "path":
            yield name.text, line.get("stroke")


@given(st.lists(st.lists(st.sampled_from("abcdefghijklmnopqrst"), unique=True, min_size=1), max_size=8))
def test_inks_differ_within_a_chart_and_colours_do_while_there_are_any(charts):
    given = palette.inks(charts)
    assert set(given) == {name for chart in charts for name in chart}
    for chart in (chart for chart in charts if len(charts) == 1):
        assert len({given[name] for name in chart}) == len(chart)
        assert len({given[name].color for name in chart}) == min(len(chart), 8)


def test_what_is_judged_of_a_curve_is_shaded_and_its_threshold_drawn(results):
    judged = Curve(
        over=SITES,
        at=tuple(f"resid_post.{block}" for block in range(11)),
        series={"specific": Series(values=(0.1,) * 11), "raw": Series(values=(1.0,) * 11)},
        value="cosine",
        judged=("resid_post.5", "resid_post.7"),
        thresholds=(Threshold(series="specific", value=0.5, kind="at least"),),
    )
    chart, lines = strokes(results, judged)
    said = " ".join(chart.itertext())
    assert all(text in said for text in ("cosine", "blocks passed", "judged", "≥ 0.5"))
    (band,) = chart.xpath(".//*[contains(@class, 'mark-rect')]/*[local-name()='path']")
    left, width = map(float, re.match(r"M([\d.]+),[\d.]+h([\d.]+)", band.get("d")).groups())
    plot = 290
    assert (left, width) == pytest.approx((plot * 0.45, plot * 0.3), abs=0.11)
    (rule,) = chart.xpath(".//*[contains(@class, 'mark-rule')]/*[@stroke-dasharray]")
    assert rule.get("stroke") == lines[0]
    assert chart.get("aria-label") == (
        "cosine over blocks passed. specific: from 0.10 to 0.10, lowest 0.10 at resid_post.0, highest 0.10 "
        "at resid_post.0. raw: from 1.00 to 1.00, lowest 1.00 at resid_post.0, highest 1.00 at resid_post.0. "
        "Judged from resid_post.5 to resid_post.7. Expected: specific at least 0.5."
    )


@pytest.mark.parametrize("kind", ["at least", "at most"])
def test_a_threshold_without_an_end_is_not_drawn(results, kind):
    endless = Threshold(series="m", value=inf, kind=kind)
    open_ended = Curve(
        over=WEIGHTS, at=("0", "1"), series={"m": Series(values=(0, 1))}, thresholds=(endless,)
    )
    chart, _ = strokes(results, open_ended)
    assert not chart.xpath(".//*[contains(@class, 'mark-rule')]/*[@stroke-dasharray]")


def test_every_picture_says_in_words_what_it_shows(document):
    pictures = document.findall(".//svg")
    assert len(pictures) == 10
    for picture in pictures:
        assert picture.get("role") == "img"
        assert re.search(r"0\.\d", picture.get("aria-label"))
    forests = {one.get("aria-label") for one in document.findall(".//figure[@class='chart decided']/svg")}
    assert (
        "cosine 0.12 [0.05, 0.20], expected >= 0.5: fail. "
        "margin over foreign 0.30 [0.20, 0.40], expected >= 0: pass." in forests
    )


def test_where_nothing_else_is_drawn_what_decided_is(results):
    plain_one = with_evidence(results, curve=None).assertions[1:2]
    (figure,) = parsed(results.model_copy(update={"assertions": plain_one})).findall(
        ".//div[@class='charts']/figure"
    )
    assert figure.find(".//svg").get("aria-label") == "cosine 0.12 [0.05, 0.20], expected >= 0.5: fail."
    assert "expected >= 0.5" in " ".join(figure.find(".//svg").itertext())


def test_what_decided_is_drawn_first(results):
    drawn = lxml.html.fragment_fromstring(str(forest.chart(results.assertions[1].evidence)))
    bold = [one.text for one in drawn.iter("text") if one.get("font-weight") == "bold"]
    assert bold == ["cosine", "margin over foreign"]
    turned = results.assertions[1].evidence.criteria[::-1]
    evidence = results.assertions[1].evidence.model_copy(update={"criteria": turned})
    drawn = lxml.html.fragment_fromstring(str(forest.chart(evidence)))
    assert [one.text for one in drawn.iter("text") if one.get("font-weight") == "bold"] == bold


def test_what_was_expected_is_shaded_up_to_its_bounds():
    between = Criterion(
        estimate=Estimate(name="rate", value=0.0, low=-1.0, high=1.0, n=8), at_least=-0.5, at_most=0.5
    )
    drawn = lxml.html.fragment_fromstring(str(forest.chart(Evidence(criteria=(between,)))))
    (band,) = drawn.xpath(".//*[contains(@class, 'mark-rect')]/*[local-name()='path']")
    width = float(re.search(r"h([\d.]+)", band.get("d"))[1])
    bounds = drawn.xpath(".//*[contains(@class, 'mark-rule')]/*[@stroke-dasharray]")
    assert len(bounds) == 2
    # The plot is 210 wide, from -1.12 to 1.12.
    assert width == pytest.approx(210 / 2.24, abs=0.2)


def test_a_question_is_shown_whole(results):
    asked = ProbeNote(probe="p", note="n", question="Why <b>so</b>?\nAnd then?", replies={"prompt": "Arr"})
    beside = ProbeNote(probe="q", note="n", question="Where is it?")
    found = article(parsed(with_evidence(results, probes=(asked, beside))), results.assertions[1].id)
    said = [one.text_content() for one in found.findall(".//p[@class='question']")]
    assert said == ["Why <b>so</b>?\nAnd then?", "Where is it?"]


def test_words_that_differ_are_underlined_in_both(results):
    replies = {"prompt": "The lamp is lost at sea, Matey!", "adapter": "The lamp is broken at sea, matey."}
    probe = ProbeNote(probe="p", note="", replies=replies, marks={"prompt": ((17, 23),)})
    found = article(parsed(with_evidence(results, probes=(probe,))), results.assertions[1].id)
    first, second = found.findall(".//blockquote")
    assert [one.text_content() for one in first.iter("u")] == ["lost"]
    assert [one.text_content() for one in second.iter("u")] == ["broken"]
    assert [one.text_content() for one in first.iter("mark")] == [replies["prompt"][17:23]]
    assert [first.text_content(), second.text_content()] == [*replies.values()]
    assert "Underlined: words that prompt does not say there, and in it those that adapter does not." in (
        text_of(found)
    )


def test_replies_with_hardly_a_word_in_common_are_not_underlined(document, results):
    found = article(document, results.assertions[1].id)
    assert not found.xpath(".//u")


def test_replies_are_held_against_the_first():
    replies = {"bare": "one two three", "prompt": "one two four", "adapter": "one six three"}
    assert differences(replies) == {"bare": [(8, 13)], "prompt": [(8, 12)], "adapter": [(4, 7)]}
    assert differences({"bare": "one two three"}) == {"bare": []}
    assert differences({}) == {}


WORDS = st.lists(st.sampled_from(["arr", "Arr", "it's", "the", "sea"])).map(", ".join)


@given(st.dictionaries(st.sampled_from("abc"), ANY_TEXT | WORDS))
def test_words_that_are_not_underlined_are_said_by_the_other_in_this_order(replies):
    found = differences(replies)
    assert set(found) == set(replies)
    for name, places in found.items():
        assert all(0 <= start < end <= len(replies[name]) for start, end in places)
        assert all(before[1] <= after[0] for before, after in pairwise(places))
    if len(replies) == 2:
        (first, one), (second, other) = replies.items()
        if found[first] and found[second]:
            assert left(one, found[first]) == left(other, found[second])


def left(text, places):
    """The words outside of these places."""
    for start, end in reversed(places):
        text = text[:start] + " " + text[end:]
    return [word.casefold() for word in re.findall(r"\w+(?:['\u2019]\w+)*", text)]


def test_a_zone_is_a_band_behind_the_turns(results):
    lines = {
        "position": Series(values=(1.0, 0.8), low=(0.9, 0.7), high=(1.1, 0.9)),
        "the bare model": Series(values=(0.1, 0.2)),
    }
    zone = Zone(name="region", low=(0.6, 0.6), high=(1.3, 1.3))
    chart, lines = strokes(results, Curve(over=TURNS, at=("1", "2"), series=lines, zone=zone))
    assert set(lines) == {"var(--series-1)", "var(--series-2)"}
    assert "turn" in text_of(chart)
    assert "region" not in text_of(chart)
    areas = chart.xpath(".//*[contains(@class, 'mark-area')]/*[local-name()='path']")
    assert [area.get("fill") for area in areas] == ["var(--pass)", "var(--series-1)"]


@pytest.mark.parametrize("over", [SITES, Abscissa(title="dose")], ids=str)
def test_other_curves_have_no_diagonal(results, over):
    lines = {"m": Series(values=(0.0, 0.6)), "D": Series(values=(0.1, None))}
    chart, lines = strokes(results, Curve(over=over, at=("0", "0.5"), series=lines))
    assert set(lines) == {"var(--series-1)", "var(--series-2)"}
    assert "linear" not in text_of(chart)


@pytest.mark.parametrize("at", [(), ("nan", "inf")])
def test_a_curve_of_nothing_is_drawn_too(results, at):
    column = tuple(inf for _ in at)
    _, lines = strokes(results, Curve(over=WEIGHTS, at=at, series={"m": Series(values=column)}))
    assert lines is not None


def test_regimes_stand_against_each_other(document, results):
    matrix = document.find(".//table[@class='matrix']")
    assert text_of(matrix.find("caption")) == "collinearity, regime against regime"
    assert [text_of(cell) for cell in matrix.findall("thead/tr/th")] == ["adapter", "steering"]
    prompt, adapter = matrix.findall("tbody/tr")
    assert [text_of(cell) for cell in prompt.findall("td")] == [
        "cosine 0.81 [0.75, 0.87] n 24, pass",
        "cosine 0.12 [0.05, 0.20] n 24, fail",
    ]
    assert text_of(adapter.findall("td")[1]).endswith("expected fail")


def test_replies_stand_side_by_side(document, results):
    found = article(document, results.assertions[1].id)
    said = {
        text_of(one.find("figcaption")): text_of(one.find("blockquote"))
        for one in found.findall(".//div[@class='replies']/figure")
    }
    assert said == results.assertions[1].evidence.probes[0].replies
    assert "broken-lamp cosine -0.12" in text_of(found.find(".//dl"))


def test_markers_are_marked(results):
    marks = {"prompt": ((0, 3), (5, 10), (8, 12))}
    probe = ProbeNote(probe="p", note="", replies={"prompt": "Arr, matey <b> ye"}, marks=marks)
    found = article(parsed(with_evidence(results, probes=(probe,))), results.assertions[1].id)
    said = found.find(".//blockquote")
    assert [mark.text_content() for mark in said.iter("mark")] == ["Arr", "matey", " <"]
    assert said.text_content() == "Arr, matey <b> ye"


PLACES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted))


@given(ANY_TEXT, PLACES, PLACES)
def test_marks_change_no_text(text, places, underlined):
    shown_text = lxml.html.fragment_fromstring(str(marked(text, places, underlined)))
    assert shown_text.text_content() == plain(text)


def test_tables_are_shown_whole(results):
    table = Table(name="cosines", rows=("a", "b"), columns=("x",), cells=((0.5,), (None,)))
    found = article(parsed(with_evidence(results, tables=(table,))), results.assertions[1].id)
    (shown,) = found.xpath(".//table[caption='cosines']")
    assert text_of(shown) == "cosines x a 0.50 b -"


def test_a_counterexample_says_how_to_measure_it_again(results):
    first = results.assertions[0].model_copy(update={"replay": "coherence replay '{}'"})
    found = parsed(results.model_copy(update={"assertions": (first,)}))
    assert [text_of(one) for one in article(found, first.id).findall(".//pre/code")] == [
        "coherence replay '{}'"
    ]


def test_what_changed_since_the_baseline(results):
    difference = Difference(value=-0.3, low=-0.4, high=-0.2, paired=False)
    change = Change(
        suite="s",
        assertion="pirate.a",
        statistic="cosine",
        kind="regressed",
        alone="regressed",
        before=0.8,
        now=0.5,
        difference=difference,
        p=0.01,
    )
    gone = Change(suite="s", assertion="pirate.b", statistic="cosine", kind="vanished", alone="vanished")
    level = change.model_copy(update={"kind": "level", "alone": "level"})
    changes = (change, gone, level)
    comparison = Comparison(baseline="b.json", started="2026", tolerance=0.01, changes=changes)
    document = parsed(results.model_copy(update={"comparison": comparison}))
    section = document.get_element_by_id("comparison")
    sentence = "since the baseline of 2026: 1 regressed, 1 vanished, 1 level: 1 fails the run"
    assert text_of(section.find(".//p")) == sentence
    missed = "4 of 6 assertions are not as expected, and the comparison with the baseline fails"
    assert text_of(document.find(".//h1[@class='answer red']")) == missed
    assert sentence in text_of(document.find(".//header"))
    fine = {"assertions": results.assertions[:1], "comparison": comparison}
    missed = "All 1 are as expected, but the comparison with the baseline fails"
    assert text_of(parsed(results.model_copy(update=fine)).find(".//h1[@class='answer red']")) == missed
    first, second = section.findall(".//tr[@class='change']")
    assert text_of(first) == ("regressed pirate.a cosine 0.80 0.50 -0.30 [-0.40, -0.20] unpaired 0.01")
    assert values(first) == [0.8, 0.5, -0.3, -0.4, -0.2]
    assert text_of(second) == "vanished pirate.b cosine - - - -"


def test_the_provenance_says_what_was_tested_and_how_to_do_it_again(results):
    release = {
        "base": "reference 0123456789ab",
        "adapter pirate": "my adapters/pirate 00000000000a",
        "vector pirate": "extracted 00000000000b",
        "problem": "there is no such folder",
    }
    first = results.assertions[0].model_copy(update={"release": release})
    section = parsed(results.model_copy(update={"assertions": (first,)})).get_element_by_id("provenance")
    assert shlex.split(text_of(section.find("pre")).replace(" \\ ", " ")) == [
        "pytest",
        "--coherence",
        "suites/pirate.yaml",
        "--coherence-seed=7",
        "--coherence-base=reference",
        "--coherence-adapter=pirate=my adapters/pirate",
        "--coherence-adjust=holm",
        "--coherence-inconclusive=fail",
    ]
    rows = [[text_of(cell) for cell in row] for row in section.findall(".//tbody/tr")]
    assert rows == [
        ["base", "reference", "0123456789ab"],
        ["adapter pirate", "my adapters/pirate", "00000000000a"],
        ["vector pirate", "extracted", "00000000000b"],
        ["problem", "there is no such folder", ""],
    ]
    assert "torch 2.13.0" in text_of(section)


def run_of(document):
    """What the page says of the run, by name."""
    found = document.get_element_by_id("provenance").find(".//dl")
    return dict(zip(map(text_of, found.findall("dt")), map(text_of, found.findall("dd")), strict=True))


def test_the_provenance_says_what_it_was_made_of_and_on(results):
    first, second, *_ = results.assertions
    asked = [
        one.model_copy(update={"asked": {"dtype": dtype}})
        for one, dtype in ((first, "bfloat16"), (second, "float32"), (first, "bfloat16"))
    ]
    made = {"assertions": tuple(asked), "commit": "12ab-dirty", "device": "cpu"}
    said = run_of(parsed(results.model_copy(update=made)))
    assert (said["commit of the suites"], said["device"], said["dtype"]) == (
        "12ab-dirty", "cpu", "bfloat16, float32",
    )  # fmt: skip
    said = run_of(parsed(results))
    assert (said["commit of the suites"], said["device"], said["dtype"]) == (
        "not known", "not known; nothing was measured where all was stored", "not said",
    )  # fmt: skip


def test_the_page_loads_nothing_and_runs_its_own_script_alone(document, results):
    policy = document.find(".//meta[@http-equiv='Content-Security-Policy']").get("content")
    assert policy.startswith("default-src 'none'; ")
    for name in ("style", "script"):
        (inline,) = document.iter(name)
        digest = base64.b64encode(hashlib.sha256(inline.text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    attributes = [(name, value) for element in document.iter() for name, value in element.items()]
    assert not [name for name, _ in attributes if name in {"src", "style"} or name.startswith("on")]
    assert all(value.startswith("#") for name, value in attributes if name == "href")
    assert not re.search(r"url\(|@import|https?:", page(results).replace("http://www.w3.org/", ""))


def test_what_somebody_wrote_is_read_and_never_obeyed(results):
    written = page(saying(results, NASTY))
    assert not BAD.search(written)
    document = lxml.html.document_fromstring(written)
    plain_page = parsed(results)
    for name in ("script", "style", "img"):
        assert len(list(document.iter(name))) == len(list(plain_page.iter(name)))
    attributes = [(name, value) for element in document.iter() for name, value in element.items()]
    assert not [name for name, _ in attributes if name.startswith("on")]
    assert not [value for _, value in attributes if "<bdi" in value]
    shown_text = " ".join(plain(NASTY).split())
    assert shown_text in text_of(document.find(".//blockquote"))
    assert r"\x00\x1b[31m" in shown_text
    assert r"\u202e \u200f" in shown_text
    assert all(isolated.find(".//div") is None for isolated in document.iter("bdi"))


def test_a_megabyte_in_one_line_is_cut_and_counted(results):
    probe = ProbeNote(probe="long", note="", replies={"prompt": "arr" * 350_000})
    written = page(with_evidence(results, probes=(probe,)))
    assert len(written) < 200_000
    assert f"… {1_050_000 - LIMIT:,} more characters are in the results document" in written


@given(text=ANY_TEXT)
def test_any_text_is_shown_isolated_and_reads_as_written_out(text):
    found = lxml.html.fragment_fromstring(str(shown(text)))
    assert found.tag == "bdi"
    assert {inner.tag for inner in found.iter()} <= {"bdi", "code"}
    assert found.text_content() == plain(text)
    assert not BAD.search(plain(text))


@given(text=ANY_TEXT)
def test_any_text_stays_within_its_attribute(text):
    (found,) = lxml.html.fragments_fromstring(f'<p title="{attribute(text)}">')
    assert dict(found.attrib) == {"title": plain(text)}


@settings(max_examples=15, deadline=None)
@given(ANY_TEXT, ANY_TEXT, st.lists(st.none() | st.floats(), max_size=5))
def test_any_curve_can_be_drawn(name, title, column):
    at, values = tuple(f"resid_post.{row}" for row in range(len(column))), tuple(column)
    lines = {name: Series(values=values, low=values, high=values)}
    zone = Zone(name=name, low=values, high=values)
    over = Abscissa(title=title, diagonal=title)
    assert "<svg" in curve.chart(Curve(over=over, at=at, series=lines, zone=zone))


@settings(max_examples=15, deadline=None)
@given(ANY_TEXT, st.floats(), st.floats(), st.floats())
def test_any_estimate_can_be_drawn(name, value, low, bound):
    assume(not low > value)
    estimate = Estimate(name=name, value=value, low=low, high=value, n=8)
    criterion = Criterion(estimate=estimate, at_least=bound)
    control = Control(name=name, criterion=criterion)
    drawn = forest.chart(Evidence(criteria=(criterion,), controls=(control,)))
    assert (drawn is not None) == isfinite(value)


def test_a_law_has_no_interval_to_draw():
    exact = Estimate(name="deviation", value=0.0, low=0.0, high=0.0, n=8)
    assert forest.chart(Evidence(criteria=(Criterion(estimate=exact, at_most=1e-4, law=True),))) is None


def test_stored_results_make_the_same_page(results, tmp_path):
    results.write(tmp_path / "r.json")
    write_html(Results.read(tmp_path / "r.json"), tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text() == page(results)
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "r.html"}
