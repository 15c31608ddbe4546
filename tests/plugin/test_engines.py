"""Which engine the command line asks for, and that a cluster judges as one process does."""

import sys

import pytest


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--coherence-engine=rai"], "--coherence-engine: unknown engine 'rai'; did you mean 'ray'?"),
        (["--coherence-engine=x"], "--coherence-engine: unknown engine 'x'; expected one of local, ray"),
        (["--coherence-engine=ray="], "--coherence-engine 'ray=': expected local, ray or ray=ADDRESS"),
        (["--coherence-engine=local=x"], "--coherence-engine 'local=x': expected local, ray or ray=ADDRESS"),
        (["--coherence-actors=2"], "--coherence-actors is for --coherence-engine ray; the local engine has"),
        (
            ["--coherence-engine=ray", "--coherence-actors=0"],
            "argument --coherence-actors: expected a whole number from 1 up, found '0'",
        ),
    ],
)
def test_a_wrong_engine_is_a_usage_error(bench, options, sentence):
    bench.suite("passes")
    run = bench.run(*options)
    assert run.ret == 4
    assert sentence in run.stderr.str()
    assert "Traceback" not in run.stderr.str()


def test_without_ray_the_run_ends_before_it_collects(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    bench.suite("passes")
    run = bench.run("--coherence-engine=ray")
    assert run.ret == 4
    assert run.errlines == [
        "ERROR: --coherence-engine ray needs Ray, which is not installed: "
        "pip install 'pytest-coherence[ray]'",
        "",
    ]


def test_collecting_starts_no_cluster_and_the_header_names_the_engine(bench):
    bench.suite("passes")
    bench.pytester.makeconftest(
        "import sys\ndef pytest_unconfigure():\n    assert 'ray' not in sys.modules\n"
    )
    run = bench.run_fresh("--coherence-engine=ray=127.0.0.1:6379", "--collect-only")
    assert run.ret == 0
    run.stdout.fnmatch_lines([f"coherence: *, store {bench.store}, engine ray=127.0.0.1:6379"])


def test_what_is_stored_needs_no_cluster(bench):
    bench.suite("passes")
    bench.run()
    assert bench.run("--coherence-engine=ray=127.0.0.1:1").ret == 0


def test_a_cluster_that_is_not_there_is_the_error_of_every_assertion(bench, tmp_path):
    bench.suite("passes", "fails")
    run = bench.run("--coherence-engine=ray=127.0.0.1:1", store=tmp_path / "store")
    assert run.ret == 1
    assert set(bench.verdicts().values()) == {"error"}
    assert (
        bench.sentence("passes")
        .partition(" could not be measured: ")[2]
        .startswith("there is no Ray cluster at '127.0.0.1:1': ")
    )


def test_workers_of_xdist_and_actors_judge_as_one_process_does(bench, tmp_path):
    bench.suite("passes", "fails", "speaks")
    alone = bench.run()
    before = {result.id: result.sentence for result in bench.results().assertions}
    run = bench.run_fresh(
        "-n", "2", "--coherence-engine=ray", "--coherence-actors=1", store=tmp_path / "store"
    )
    assert run.ret == alone.ret == 1
    assert {result.id: result.sentence for result in bench.results().assertions} == before
    assert all(line.startswith("coherence: ") for line in run.errlines)
    assert not any("ray" in line.lower() and "engine ray" not in line for line in run.outlines)
