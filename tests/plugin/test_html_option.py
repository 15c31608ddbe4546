import lxml.html
import pytest


def test_the_html_report_goes_where_it_is_told_and_shows_every_assertion(bench):
    bench.suite("passes", "fails")
    assert bench.run("--coherence-html=out/report.html").ret == 1
    document = lxml.html.parse(bench.path / "out/report.html")
    names = {found.text_content().strip() for found in document.findall(".//article//h3")}
    assert names == set(bench.verdicts())


def test_no_html_is_written_unasked(bench):
    bench.suite("passes")
    bench.run()
    assert not list(bench.path.glob("**/*.html"))


def test_a_broken_suite_has_a_place_in_the_report(bench):
    bench.suite("passes")
    bench.suite("passes", name="b")
    bench.edit("probes:", "prbes:", name="b")
    bench.run("--coherence-html=report.html")
    assert "unknown key 'prbes'" in lxml.html.parse(bench.path / "report.html").getroot().text_content()


@pytest.mark.parametrize(("assertion", "code"), [("passes", 4), ("fails", 1)])
@pytest.mark.parametrize("path", ["file/report", "."])
def test_a_report_that_cannot_be_written_is_a_sentence_and_no_success(bench, path, assertion, code):
    bench.suite(assertion)
    (bench.path / "file").touch()
    run = bench.run(f"--coherence-html={path}")
    assert run.ret == code
    run.stdout.re_match_lines([rf"--coherence-html {path} cannot be written: .*"])
    assert "INTERNALERROR" not in run.stdout.str() + run.stderr.str()
