"""`coherence judge`: how good the judges of suites are, before they judge."""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.errors import SuiteError

if TYPE_CHECKING:
    from coherence.properties.behaviour.judge_check import CheckedJudge, JudgeCheck
    from coherence.statistics.intervals import Interval
    from coherence.suite import Assertion, Suite


def _add(parser: Parser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser(
        "check", help="hold the judges of a suite against people; 1 when one would decide nothing"
    )
    check.add_argument("suite", type=Path, help="a suite with assertions of the property `judged`")
    check.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    check.set_defaults(run=_check)


def _check(options: Namespace) -> Output:
    from coherence.store import Store, store_root
    from coherence.suite import Overrides, load_suite

    suite = load_suite(options.suite, Overrides())
    checks = list(dict.fromkeys(_checks(suite.assertions)))
    if not checks:
        raise SuiteError(f"{options.suite} asserts nothing by a judge; expected an assertion of `judged`")
    checked = _checked(checks, suite, Store(options.store or store_root()))
    for one in checked:
        print("\n".join(_lines(one)))
    return Output({"judges": [_fields(one) for one in checked]}, int(any(one.unfit for one in checked)))


def _checks(assertions: "Iterable[Assertion]") -> "Iterator[JudgeCheck]":
    from coherence.properties.behaviour.judge_check import JudgeCheck
    from coherence.properties.behaviour.judged_replies import JudgedCase

    for assertion in assertions:
        if isinstance(case := assertion.case, JudgedCase):
            spec, labelled = case.spec, case.labelled
            rubric = spec.rubrics[case.persona]
            yield JudgeCheck(spec.judge, case.persona, rubric, labelled.labels, spec.min_agreement)


def _checked(checks: "list[JudgeCheck]", suite: "Suite", store: Any) -> "list[CheckedJudge]":  # noqa: ANN401
    from rich.console import Console

    from coherence.engine.artefacts.artefacts import Artefacts
    from coherence.engine.engine import Engine
    from coherence.plan import Plan, Record
    from coherence.reports.bar import Bar

    with Bar(Console(stderr=True)) as bar:
        engine = Engine(Artefacts.of(suite.scene, suite.places), store, bar)
        record = Record(engine.measure(Plan(need for check in checks for need in check.needs())))
    return [check.checked(record) for check in checks]


def _lines(one: "CheckedJudge") -> Iterator[str]:
    """Say what came of it, a line each."""
    check, first = one.check, one.first
    yield f"{check.judge}, by the rubric of {check.persona}: {one.unfit or 'it would decide'}"
    yield f"  agreement with people (kappa of {len(check.labels)}): {_ranged(first.agreement)}"
    yield f"  mean score where the rubric is met: {_ranged(first.mean_of(met=True))}"
    yield f"  mean score where it is not: {_ranged(first.mean_of(met=False))}"
    yield f"  bias by position (first order - other): {_ranged(one.by_position)}"
    yield f"  bias by length (rho of score and words): {_ranged(one.by_length)}"
    wordings = "one wording alone" if one.consistency is None else _ranged(one.consistency)
    yield f"  the same by {len(check.rubric)} wordings of the rubric: {wordings}"
    yield f"  otherwise when it is asked again: {one.changed} of {len(check.labels)}"
    yield f"  without a score: {first.scores.missing('labelled replies') or 'none'}"


def _ranged(interval: "Interval") -> str:
    from coherence.vocabulary.evidence import ranged

    return ranged(interval.value, interval.low, interval.high)


def _fields(one: "CheckedJudge") -> dict[str, object]:
    first = one.first
    return {
        "judge": str(one.check.judge),
        "persona": one.check.persona,
        "labels": len(one.check.labels),
        "unfit": one.unfit,
        "kappa": _ends(first.agreement),
        "met": _ends(first.mean_of(met=True)),
        "unmet": _ends(first.mean_of(met=False)),
        "by_position": _ends(one.by_position),
        "by_length": _ends(one.by_length),
        "consistency": None if one.consistency is None else _ends(one.consistency),
        "changed": one.changed,
        "unread": dict(first.scores.unread),
    }


def _ends(interval: "Interval") -> list[float]:
    return [interval.value, interval.low, interval.high]


COMMAND = Command(
    name="judge",
    help="hold the judges of a suite against people",
    about="A judge is another model that says whether replies meet a rubric. Before it judges, it is asked "
    "of replies of which people have said it: agreement, biases by position and length, other wordings of "
    "the rubric, and the same once more.",
    example="coherence judge check judged.coherence.yaml",
    add=_add,
)
