import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coherence.engine.executors.shares import Node, Shares, shares
from coherence.errors import EngineError

clusters = st.lists(st.builds(Node, st.integers(0, 64), st.integers(0, 8)), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([Node(1, 0)], Shares(1, 1, 0)),
        ([Node(2, 0)], Shares(2, 1, 0)),
        ([Node(3, 0)], Shares(2, 1, 0)),
        ([Node(8, 0)], Shares(2, 4, 0)),
        ([Node(22, 0)], Shares(5, 4, 0)),
        ([Node(16, 0), Node(6, 0)], Shares(5, 4, 0)),
        ([Node(16, 1)], Shares(1, 16, 1)),
        ([Node(4, 0), Node(32, 4), Node(32, 4)], Shares(8, 8, 1)),
    ],
)
def test_by_default_there_is_an_actor_for_each_gpu_or_for_four_cores(
    nodes: list[Node], expected: Shares
) -> None:
    assert shares(nodes) == expected


@pytest.mark.parametrize(
    ("actors", "expected"), [(1, Shares(1, 16, 4)), (2, Shares(2, 8, 2)), (8, Shares(8, 2, 0.5))]
)
def test_actors_that_are_asked_for_share_cores_and_gpus(actors: int, expected: Shares) -> None:
    assert shares([Node(16, 4)], actors) == expected


@given(nodes=clusters, actors=st.none() | st.integers(1, 40))
def test_all_actors_fit_on_their_nodes_and_could_not_get_more_cores(
    nodes: list[Node], actors: int | None
) -> None:
    cores = [node.cores for node in nodes]
    assume(sum(cores) >= (actors or max(1, sum(node.gpus for node in nodes))))
    found = shares(nodes, actors)
    assert actors in (None, found.actors)
    assert sum(count // found.cores for count in cores) >= found.actors
    assert sum(count // (found.cores + 1) for count in cores) < found.actors
    gpus = [node.gpus for node in nodes]
    assert (found.gpus > 0) == any(gpus)
    assert not any(gpus) or sum(int(count / found.gpus) for count in gpus) >= found.actors


@pytest.mark.parametrize(("nodes", "actors"), [([Node(2, 0)], 3), ([], None), ([Node(0, 1)], None)])
def test_an_actor_without_a_core_is_refused(nodes: list[Node], actors: int | None) -> None:
    with pytest.raises(EngineError, match="asked for, but the cluster has"):
        shares(nodes, actors)
