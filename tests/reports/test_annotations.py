import re
from pathlib import Path

import pytest

from coherence.reports.annotations import annotations
from coherence.vocabulary import Change, Comparison

# As the runner of GitHub reads a command.
COMMAND = re.compile(r"::(?P<level>\w+) (?P<properties>[^:]*)::(?P<message>.*)")
HERE = Path.cwd()


def read(line):
    level, properties, message = COMMAND.fullmatch(line).groups()
    values = dict(written.split("=", 1) for written in properties.split(","))
    for code, was in (("%3A", ":"), ("%2C", ","), ("%25", "%")):
        values = {name: value.replace(code, was) for name, value in values.items()}
    return level, values, message.replace("%25", "%")


def test_what_is_red_is_an_error_at_its_line_worst_first(results):
    found = [read(line) for line in annotations(results, HERE)]
    assert [level for level, _, _ in found] == ["error"] * 4
    assert [values["title"].split(": ")[1] for _, values, _ in found] == [
        "error", "fail", "unexpected pass", "inconclusive",
    ]  # fmt: skip
    _, values, message = found[1]
    assert values == {
        "file": "suites/pirate.yaml",
        "line": "12",
        "title": "pirate.collinearity.prompt-steering: fail",
    }
    assert message == results.assertions[1].headline


def test_what_is_tolerated_is_a_warning(undecided):
    assert [read(line)[0] for line in annotations(undecided, HERE)] == ["error", "warning"]


def test_files_are_named_from_the_root_of_the_repository(results):
    (_, values, _), *_ = (read(line) for line in annotations(results, HERE.parent))
    assert values["file"] == f"{HERE.name}/suites/pirate.yaml"
    (_, values, _), *_ = (read(line) for line in annotations(results, Path("/elsewhere")))
    assert values["file"] == "suites/pirate.yaml"


def test_what_regressed_is_an_error_for_its_assertion(results):
    place = {"suite": "suites/pirate.yaml", "assertion": results.assertions[0].id}
    changes = [
        Change(**place, statistic=statistic, kind=kind, alone=kind)
        for statistic, kind in (("cosine", "regressed"), ("margin", "regressed"), ("other", "level"))
    ]
    gone = changes[0].model_copy(update={"assertion": "pirate.gone"})
    comparison = Comparison(baseline="b", started="2026", tolerance=0, changes=(*changes, gone))
    level, values, message = read(
        list(annotations(results.model_copy(update={"comparison": comparison}), HERE))[-1]
    )
    assert (level, values["line"]) == ("error", "12")
    assert values["title"] == "pirate.collinearity.prompt-adapter: worse than the baseline"
    assert message.endswith("cosine: regressed, and 1 more of its criteria")


@pytest.mark.parametrize(
    "text", ["a,line=9::x%0A", "100 %\r\n::error::gotcha", "%25,%3A", "\x1b\u202e\ud800"]
)
def test_no_text_ends_a_command_or_begins_another(results, text):
    changed = results.assertions[1].model_copy(update={"id": text, "sentence": text, "suite": text})
    (line,) = annotations(results.model_copy(update={"assertions": (changed,)}), HERE)
    assert len(line.splitlines()) == 1
    level, values, message = read(line)
    assert (level, set(values), values["line"]) == ("error", {"file", "line", "title"}, "12")
    if text.isprintable():
        assert (values["file"], values["title"], message) == (
            text,
            f"{text}: fail",
            f"{text} fails: cosine is 0.12, expected at least 0.5",
        )
