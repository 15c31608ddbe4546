"""A red run from end to end: which persona is blamed, and what is read first."""

import re

import pytest

MOVES = (
    "{property: collinearity, between: [prompt, adapter], personas: [counsel, pirate], "
    "sites: resid_post.0, min_cosine: 1, min_ceiling: 0}"
)
CAUSE = "pirate's adapter is counsel's, byte by byte"
INNOCENT, GUILTY = (f"{name}.collinearity.prompt-adapter" for name in ("counsel", "pirate"))


@pytest.fixture
def misplaced(bench):
    """A run in which the adapter of the counsel is that of the pirate too; its folder tells whose it is."""

    def misplaced(*arguments, apart=False):
        bench.suite(MOVES)
        text = (bench.path / "a.coherence.yaml").read_text()
        counsel = text.partition("    counsel: ")[2].split()[0]
        assert counsel.endswith("/counsel")
        run = bench.run_apart if apart else bench.run
        return run(f"--coherence-adapter=pirate={counsel}", *arguments)

    return misplaced


def test_the_misplaced_adapter_is_blamed_and_the_innocent_follows_from_it(bench, misplaced):
    run = misplaced()
    causes = {result.id: result.cause for result in bench.results().assertions}
    assert {name: (cause.sentence, cause.follows) for name, cause in causes.items()} == {
        GUILTY: (CAUSE, False),
        INNOCENT: (CAUSE, True),
    }
    heads = [line.strip("_ ") for line in run.outlines if line.startswith("____")]
    assert heads == [GUILTY, INNOCENT]
    failed = [line.split("::")[1].split(" - ")[0] for line in run.outlines if line.startswith("FAILED ")]
    assert failed == [GUILTY, INNOCENT]
    text = " ".join(run.stdout.str().split())
    assert (
        f"2 of 2 assertions are not as expected, likely because {CAUSE}: "
        f"{GUILTY}; {INNOCENT} follows from it."
    ) in text
    assert f"look closer: coherence explain {GUILTY}" in text


def test_failures_of_several_processes_are_in_the_same_order(misplaced):
    run = misplaced("-n2", apart=True)
    heads = [line.strip("_ ") for line in run.outlines if line.startswith("____")]
    assert [re.sub(r"^\[gw\d\] .*", "", head) for head in heads] == [GUILTY, INNOCENT]


def test_the_command_to_look_closer_names_the_results_where_they_are(misplaced):
    run = misplaced("--coherence-results=out/r.json")
    assert f"look closer: coherence explain {GUILTY} out/r.json" in run.stdout.str()


def test_a_release_in_which_each_has_its_own_is_red_for_other_reasons(bench):
    bench.suite(MOVES)
    bench.run()
    assert [result.cause for result in bench.results().assertions] == [None, None]
