import json
import re

import junitparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from junitparser import xunit2
from lxml import etree

from coherence.reports.junit import write_junit
from coherence.results import Results
from coherence.vocabulary import Cause, Change, Comparison, ProbeNote

NASTY = "\x00\x1b[31m]]> <b a='1'>&amp;\r\n\ud800 \u202e \uffff ☠ " + "arr " * 5000
FLAVOURS = {False: junitparser, True: xunit2}
RED = {"fail": "Failure", "inconclusive": "Failure", "unexpected pass": "Failure", "error": "Error"}


@pytest.fixture(params=[False, True], ids=["annotated", "strict"])
def strict(request):
    return request.param


def written(results, folder, strict):
    path = folder / "junit.xml"
    write_junit(results, path, strict)
    return path


def read(path, strict):
    return FLAVOURS[strict].JUnitXml.fromfile(str(path))


def saying(results, text):
    """The same run, whose failures and errors hold `text` wherever a model or a person may write one."""
    probe = ProbeNote(probe=text, note=text, replies={"bare": text, "prompt": text})

    def change(result):
        evidence = result.evidence and result.evidence.model_copy(
            update={"probes": (probe,), "notes": (text,)}
        )
        return result.model_copy(
            update={"sentence": f"{result.sentence} {text}", "evidence": evidence, "release": {text: text}}
        )

    return results.model_copy(update={"assertions": tuple(map(change, results.assertions))})


def test_a_suite_per_persona_with_right_counts(results, tmp_path, strict):
    report = read(written(results, tmp_path, strict), strict)
    counts = [(suite.name, suite.tests, suite.failures, suite.errors) for suite in report]
    assert counts == [("pirate", 3, 1, 0), ("counsel", 3, 2, 1)]
    assert (report.tests, report.failures, report.errors) == (6, 3, 1)


def test_the_suite_says_which_release_seed_and_versions(results, tmp_path, strict):
    suite, *_ = read(written(results, tmp_path, strict), strict)
    assert {found.name: found.value for found in suite.properties()} == {
        "release.base": "reference sha256:aa",
        "release.adapter.pirate": "adapters/pirate sha256:bb",
        "seed": "7",
        "version.coherence": "0.1.0",
        "version.torch": "2.13.0",
    }


def test_every_case_says_what_was_seen_in_message_and_first_line(results, tmp_path, strict):
    cases = {case.name: case for suite in read(written(results, tmp_path, strict), strict) for case in suite}
    assert set(cases) == {result.id for result in results.assertions}
    for result in results.assertions:
        kinds = [type(problem).__name__ for problem in problems(cases[result.id])]
        assert kinds == ([] if result.green else [RED[result.outcome]])
        for problem in problems(cases[result.id]):
            assert problem.message == problem.text.splitlines()[0] == result.headline
            assert problem.type == result.outcome


def problems(case):
    return [found for found in case.result if isinstance(found, junitparser.Failure | junitparser.Error)]


def test_numbers_are_property_lines_for_programs_and_a_table_for_people(results, tmp_path, strict):
    suite, *_ = read(written(results, tmp_path, strict), strict)
    output = list(suite)[1].system_out
    numbers = dict(re.findall(r"^\[\[PROPERTY\|([^=]+)=(.*)\]\]$", output, re.MULTILINE))
    assert numbers["verdict"] == "fail"
    assert numbers["expect"] == "pass"
    assert float(numbers["cosine"]) == 0.125
    assert float(numbers["cosine.at_least"]) == 0.5
    assert int(numbers["margin-over-foreign.n"]) == 24
    assert "cosine.at_most" not in numbers
    row = "cosine              |  0.12 | [0.05, 0.20]"
    (problem,) = problems(list(suite)[1])
    assert problem.text.count(row) == 1
    # Each number once for either reader.
    assert [line for line in output.splitlines() if not line.startswith("[[PROPERTY|")] == []


def test_a_message_says_the_likely_cause_too(results, tmp_path, strict):
    cause = Cause(artefact="adapter pirate", sentence="pirate's adapter is counsel's", remedy="look at it")
    blamed = results.assertions[1].model_copy(update={"cause": cause})
    (case,) = cases(results.model_copy(update={"assertions": (blamed,)}), tmp_path, strict)
    (problem,) = problems(case)
    assert problem.message == (
        f"{blamed.id} fails: cosine is 0.12, expected at least 0.5; "
        "likely cause: pirate's adapter is counsel's; look at it"
    )


def cases(results, tmp_path, strict):
    return [case for suite in read(written(results, tmp_path, strict), strict) for case in suite]


def test_a_raw_and_an_adjusted_verdict_are_both_there(undecided, tmp_path, strict):
    alone, _ = cases(undecided, tmp_path, strict)
    numbers = dict(re.findall(r"^\[\[PROPERTY\|([^=]+)=(.*)\]\]$", alone.system_out, re.MULTILINE))
    assert (numbers["verdict"], numbers["raw_verdict"]) == ("inconclusive", "fail")
    assert (float(numbers["cosine.p"]), float(numbers["cosine.holm"])) == (0.01, 0.12)
    (problem,) = problems(alone)
    assert "inconclusive: fails alone" in " ".join(problem.text.split())
    assert "fails alone (p = 0.01), not among 96 criteria (Holm: 0.12))" in problem.text


def test_what_is_tolerated_is_skipped_with_its_sentence(undecided, tmp_path, strict, junit_schema):
    report = read(written(undecided, tmp_path, strict), strict)
    assert (report.tests, report.failures, report.errors) == (2, 1, 0)
    assert sum(suite.skipped for suite in report) == 1
    *_, tolerated = (case for suite in report for case in suite)
    (skipped,) = tolerated.result
    assert isinstance(skipped, junitparser.Skipped)
    assert skipped.message == undecided.assertions[1].headline
    if strict:
        junit_schema.assertValid(etree.parse(tmp_path / "junit.xml"))


def test_what_regressed_is_a_failure_of_its_own_case(results, tmp_path, strict, junit_schema):
    changes = [
        Change(suite="a", assertion=NASTY, statistic=NASTY, kind=kind, alone=kind)
        for kind in ("regressed", "vanished", "level")
    ]
    compared = Comparison(baseline="b.json", started="2026", tolerance=0, changes=tuple(changes))
    report = read(written(results.model_copy(update={"comparison": compared}), tmp_path, strict), strict)
    *_, case = (case for suite in report for case in suite)
    assert (case.name, case.classname) == ("baseline", "coherence")
    (failure,) = case.result
    assert failure.message.startswith("since the baseline of 2026: 1 regressed, 1 vanished, 1 level: 1 fails")
    assert len(failure.text.encode()) < 4200
    assert failure.type == "regressed"
    if strict:
        junit_schema.assertValid(etree.parse(tmp_path / "junit.xml"))


def test_annotations_find_file_and_line_unless_strict(results, tmp_path, strict):
    case = etree.parse(written(results, tmp_path, strict)).find(".//testcase")
    expected = (None, None) if strict else ("suites/pirate.yaml", "12")
    assert (case.get("file"), case.get("line")) == expected
    assert case.get("classname") == "suites.pirate"
    assert float(case.get("time")) == 0.1


@pytest.mark.parametrize("text", ["", NASTY], ids=["plain", "nasty"])
def test_strict_keeps_to_the_schema_of_jenkins(results, tmp_path, junit_schema, text):
    junit_schema.assertValid(etree.parse(written(saying(results, text), tmp_path, strict=True)))


def test_the_schema_refuses_the_annotated_flavour(results, tmp_path, junit_schema):
    assert not junit_schema.validate(etree.parse(written(results, tmp_path, strict=False)))


def test_an_empty_run_is_an_empty_report(results, tmp_path, strict, junit_schema):
    path = written(results.model_copy(update={"assertions": ()}), tmp_path, strict)
    assert list(read(path, strict)) == []
    if strict:
        junit_schema.assertValid(etree.parse(path))


def test_a_failure_without_a_sentence_is_still_a_failure(results, tmp_path, strict):
    silent = results.assertions[1].model_copy(update={"sentence": ""})
    report = read(written(results.model_copy(update={"assertions": (silent,)}), tmp_path, strict), strict)
    assert report.failures == 1


def test_texts_are_truncated_and_say_so(results, tmp_path, strict):
    notes = tuple(f"note {index}: {'arr ' * 100}" for index in range(50))
    evidence = results.assertions[1].evidence.model_copy(update={"notes": notes})
    wordy = results.assertions[1].model_copy(update={"evidence": evidence})
    path = written(results.model_copy(update={"assertions": (wordy,)}), tmp_path, strict)
    text = etree.parse(path).find(".//failure").text
    assert len(text.encode()) < 4100
    assert text.endswith("more characters are in the results document")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(text=st.text(st.characters(exclude_categories=())))
def test_any_text_makes_a_report_that_reads_back(results, tmp_path, strict, text):
    said = saying(results, text)
    report = read(written(said, tmp_path, strict), strict)
    assert (report.tests, report.failures, report.errors) == (6, 3, 1)
    for suite in report:
        for problem in (problem for case in suite for problem in problems(case)):
            assert problem.text.splitlines()[0] == problem.message


def test_a_report_of_results_read_back_is_the_same(results, tmp_path, strict):
    results.write(tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text())["format"] == 5
    first = written(results, tmp_path, strict).read_bytes()
    assert written(Results.read(tmp_path / "results.json"), tmp_path, strict).read_bytes() == first


def test_controls_are_properties(controlled, tmp_path, strict, junit_schema):
    (case,) = cases(controlled, tmp_path, strict)
    for line in ("counsel-by-adapter=fail", "random-vectors=pass", "a-neutral-prompt=error"):
        assert f"[[PROPERTY|control.{line}]]" in case.system_out
    if strict:
        junit_schema.assertValid(etree.parse(written(controlled, tmp_path, strict)))


@pytest.mark.parametrize("suite", ["/", "", ".", ".."])
def test_a_suite_that_is_no_file_is_written_as_well(results, tmp_path, strict, suite):
    first, *others = results.assertions
    edited = results.model_copy(update={"assertions": (first.model_copy(update={"suite": suite}), *others)})
    assert len(written(edited, tmp_path, strict).read_text()) > 0
