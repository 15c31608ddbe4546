"""Several processes: which plugins a run has, and that its document is that of one process."""

from math import inf, nan

import pytest

from coherence.plugin.message import Message
from coherence.vocabulary import Criterion, Estimate

# Each process adds a line with the plugins of ours that it has.
NAMES = """
def pytest_unconfigure(config):
    names = (name for name, _ in config.pluginmanager.list_name_plugin())
    ours = sorted(name.removeprefix("coherence-") for name in names if name.startswith("coherence-"))
    with (config.rootpath / "names").open("a") as file:
        print(*ours, file=file)
"""
SMOKE = "{property: commutativity, id: quick, laws: [dose-zero], examples: 1, tier: smoke}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["session signals summary unjudged"]),
        (["-p", "no:xdist"], ["session signals summary unjudged"]),
        (["-n", "0"], ["session signals summary unjudged"]),
        (
            ["-n", "1"],
            ["controller session signals summary unjudged", "session signals worker"],
        ),
    ],
)
def test_what_is_for_several_processes_is_there_only_with_them(bench, arguments, expected):
    bench.suite("passes")
    bench.pytester.makeconftest(NAMES)
    assert bench.run_apart(*arguments).ret == 0
    assert sorted((bench.path / "names").read_text().splitlines()) == expected
    assert bench.verdicts() == {bench.ids["passes"]: "pass"}


def test_the_document_is_that_of_one_process(bench):
    bench.suite(SMOKE, "passes", "unsure")
    bench.edit("release:", "seed: 7\nrelease:")
    bench.suite(SMOKE, name="broken")
    bench.edit("probes:", "prbes:", name="broken")
    bench.pytester.makepyfile("""
def test_pirate(coherence):
    law = {"property": "commutativity", "laws": ["scale-zero"], "examples": 1}
    coherence("a.coherence.yaml").require(law)
""")
    found = {}
    for workers in ("0", "2"):
        # Processes of different seeds of hashes: an order of sets would show.
        bench.run_fresh("-n", workers, "--coherence-tier=smoke", ".", store=bench.path / f"store{workers}")
        document = bench.results().model_dump(mode="json")
        for clocked in (document, *document["assertions"]):
            del clocked["seconds"]
        found[workers] = document | {"started": None}
    assert found["2"] == found["0"]
    assert found["2"]["seed"] == 7
    assert {one["id"] for one in found["2"]["assertions"]} == {
        "release.quick.dose-zero",
        "broken.suite",
        "release.commutativity.scale-zero",
    }


def test_the_verdicts_of_a_worker_that_crashed_are_not_lost(bench):
    bench.suite("passes")
    bench.pytester.makepyfile("import os\ndef test_crash():\n    os._exit(3)\n")
    run = bench.run_apart("-n", "1", "a.coherence.yaml", ".", "--max-worker-restart=0")
    assert run.ret == 1
    assert bench.verdicts() == {bench.ids["passes"]: "pass"}


def test_a_message_is_read_as_it_was_sent(bench):
    bench.suite("unsure")
    bench.run()
    (result,) = bench.results().assertions
    criteria = tuple(
        Criterion(estimate=Estimate(name="x", value=value, low=-inf, high=inf, n=1), at_least=0)
        for value in (nan, inf, 0.1)
    )
    result = result.model_copy(update={"evidence": result.evidence.model_copy(update={"criteria": criteria})})
    message = Message(
        results={"a::b": result},
        required=(result,),
        left_out={("a", "b")},
        seed=0,
        device="cpu",
        misuse="no",
    )
    read = Message.model_validate_json(message.model_dump_json())
    assert read.model_dump_json() == message.model_dump_json()
    assert [one.estimate.value for one in read.results["a::b"].evidence.criteria][1:] == [inf, 0.1]
