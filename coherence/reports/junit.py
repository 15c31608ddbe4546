"""JUnit XML, as GitLab, GitHub's reporters and Jenkins read it."""

import re
from math import isfinite
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from junit_xml import TestCase, TestSuite, to_xml_report_string

from coherence.files import replace_file
from coherence.reports.grounds import explain
from coherence.reports.plain import clipped, one_line
from coherence.reports.red import told_first
from coherence.reports.since_baseline import compared, verdict
from coherence.results import AssertionResult, Results
from coherence.vocabulary import Comparison, Evidence, Verdict

_TEXT_BYTES = 4000


def write_junit(results: Results, path: Path, strict: bool = False) -> None:
    """Write a suite per persona and a case per assertion.

    A case carries `file` and `line`, which annotations need and Jenkins' junit-10.xsd refuses: `strict`
    leaves them out. GitLab reads only a failure's text and GitHub's reporters only its message, so what was
    seen and its likely cause stand in both. Numbers are in the text for people, of what is not green, and
    in lines for programs.
    """
    suites = [_suite(results, persona, strict) for persona in results.by_persona()]
    if results.comparison:
        suites.append(TestSuite("baseline", [_baseline(results.comparison, strict)]))
    replace_file(path, _tidied(to_xml_report_string(suites, prettyprint=False), strict))


def _suite(results: Results, persona: str, strict: bool) -> TestSuite:
    assertions = results.by_persona()[persona]
    artefacts = {f"release.{name}": was for result in assertions for name, was in result.release.items()}
    versions = {f"version.{name}": version for name, version in results.versions.items()}
    remarks = {f"remark.{number}": remark for number, remark in enumerate(results.remarks, 1)}
    properties = artefacts | {"seed": str(results.seed)} | versions | remarks
    return TestSuite(
        one_line(persona),
        [_case(result, strict) for result in assertions],
        timestamp=one_line(results.started),
        properties={one_line(name): one_line(value) for name, value in properties.items()},
    )


def _class_of(suite: str) -> str:
    path = PurePosixPath(suite)
    # A document may have been edited, and name no file.
    return ".".join((path.with_suffix("") if path.name else path).parts)


def _case(result: AssertionResult, strict: bool) -> TestCase:
    case = TestCase(
        one_line(result.id),
        classname=one_line(_class_of(result.suite)),
        elapsed_sec=result.seconds,
        stdout=clipped(_numbers(result), _TEXT_BYTES),
        file=None if strict else one_line(result.suite),
        line=None if strict else str(result.line),
    )
    if result.tolerated:  # skipped is what every reader shows and none fails on
        case.add_skipped_info(one_line(told_first(result)), clipped(explain(result), _TEXT_BYTES))
    if not result.green:
        report = case.add_error_info if result.verdict is Verdict.ERROR else case.add_failure_info
        report(one_line(told_first(result)), clipped(explain(result), _TEXT_BYTES), result.outcome)
    return case


def _baseline(comparison: Comparison, strict: bool) -> TestCase:
    case = TestCase(
        "baseline",
        classname="coherence",
        elapsed_sec=0.0,
        stdout=clipped(compared(comparison, 100, ascii_only=True), _TEXT_BYTES),
        file=None if strict else one_line(comparison.baseline),
    )
    if failing := comparison.failing:
        lines = [verdict(comparison), *map(one_line, map(str, failing))]
        case.add_failure_info(lines[0], clipped("\n".join(lines), _TEXT_BYTES), failing[0].kind)
    return case


def _numbers(result: AssertionResult) -> str:
    """Write the lines that readers take for properties of the case."""
    evidence = result.evidence
    values: dict[str, object] = {
        "verdict": result.verdict,
        "raw_verdict": result.raw_verdict,
        "expect": result.expect,
    }
    values |= _estimates(evidence) | _controls(evidence) if evidence else {}
    return "\n".join(f"[[PROPERTY|{name}={value}]]" for name, value in values.items())


def _estimates(evidence: Evidence) -> dict[str, object]:
    values: dict[str, object] = {}
    for criterion in evidence.criteria:
        estimate = criterion.estimate
        name = _spelled(estimate.name)
        bounds = {"at_least": criterion.at_least, "at_most": criterion.at_most}
        parts = {"": estimate.value, ".low": estimate.low, ".high": estimate.high}
        parts |= {f".{side}": bound for side, bound in bounds.items()}
        values |= {f"{name}{part}": value for part, value in parts.items() if isfinite(value)}
        values[f"{name}.n"] = estimate.n
        if criterion.adjusted:
            values |= {f"{name}.p": criterion.p, f"{name}.holm": criterion.adjusted.p}
            values[f"{name}.among"] = criterion.adjusted.among
    return values


def _controls(evidence: Evidence) -> dict[str, object]:
    return {f"control.{_spelled(control.name)}": control.verdict for control in evidence.controls}


def _spelled(name: str) -> str:
    return re.sub(r"[^\w.()-]+", "-", name, flags=re.ASCII)


def _tidied(document: str, strict: bool) -> bytes:
    """Keep to the schema: three decimals of a second and, if strict, no `disabled`."""
    root = ElementTree.fromstring(document)
    for element in root.iter():
        if strict:
            element.attrib.pop("disabled", None)
        if "time" in element.attrib:
            element.set("time", f"{float(element.attrib['time']):.3f}")
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
