import pickle

import pytest

from coherence import errors
from coherence.errors import CoherenceError, Place, did_you_mean, listed

KINDS = [CoherenceError, *CoherenceError.__subclasses__()]


@pytest.mark.parametrize("place", [None, Place("a.yaml"), Place("a.yaml", 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_back_from_another_process_as_it_was(kind, place):
    problem = kind("cannot be loaded: it is empty", place)
    back = pickle.loads(pickle.dumps(problem))
    assert type(back) is kind
    assert (str(back), back.sentence, back.place) == (str(problem), problem.sentence, place)


def test_every_kind_is_one_of_ours():
    assert {kind.__module__ for kind in KINDS} == {errors.__name__}


def test_very_many_names_are_not_all_listed():
    assert listed(["a", "b", "c"], shown=3) == "a, b, c"
    assert listed(["a", "b", "c"], shown=2) == "a, b and 1 more"
    assert did_you_mean("zzz", map(str, range(900))).endswith(" and 876 more")
