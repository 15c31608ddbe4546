import json
import pickle

import numpy as np
import pytest

from coherence import errors
from coherence.errors import (
    CoherenceError,
    Place,
    UnforeseenError,
    did_you_mean,
    first_line,
    in_a_sentence,
    listed,
    printable,
    reason,
    shortened,
)

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


def raised(what):
    try:
        what()
    except Exception as problem:
        return problem
    pytest.fail("nothing was raised")


def test_what_a_library_raises_names_it():
    said = in_a_sentence(raised(lambda: np.linalg.inv(np.ones(3))))
    assert isinstance(said, UnforeseenError)
    assert str(said).startswith("numpy raised LinAlgError: ")
    assert str(said).endswith(")")
    assert "(numpy.linalg" in str(said)
    assert isinstance(said.__cause__, np.linalg.LinAlgError)


def test_pythons_own_library_is_not_to_blame():
    said = str(in_a_sentence(raised(lambda: json.loads("{"))))
    assert said.startswith(f"{__name__.partition('.')[0]} raised JSONDecodeError: ")


def test_a_mistake_of_ours_is_to_be_reported():
    said = str(in_a_sentence(raised(lambda: Place.__str__(None))))
    assert said.startswith("coherence raised AttributeError: 'NoneType' object has no attribute ")
    assert (
        "; this is a mistake of coherence itself: please report it, with what --log-level=debug shows" in said
    )


def test_memory_files_and_sentences_are_said_as_they_are(tmp_path):
    assert str(in_a_sentence(MemoryError())) == "out of memory"
    lost = tmp_path / "lost"
    assert str(in_a_sentence(raised(lost.read_bytes))) == f"{lost}: No such file or directory"
    ours = CoherenceError("is empty", Place("a.yaml", 3))
    assert in_a_sentence(ours) is ours


def test_what_was_raised_for_people_is_said_alone():
    assert reason(ValueError("expected a number")) == "expected a number"
    assert reason(TypeError("expected a number"), TypeError) == "expected a number"
    assert "raised KeyError: 'magic' (" in reason(raised(lambda: {}["magic"]))


def test_a_first_line_that_says_nothing_goes_on():
    assert first_line(ValueError("Field 'r':\n    expected int\nmore")) == "Field 'r': expected int"
    assert first_line(ValueError("Field:")) == "Field:"
    assert first_line(ValueError()) == "ValueError"


def test_what_a_terminal_would_obey_is_escaped():
    problem = CoherenceError("found \x1b[31m and \u202e\ud800", Place("a\x07b.yaml", 3))
    assert str(problem) == r"a\x07b.yaml:3: found \x1b[31m and \u202e\ud800"
    assert printable("caf\u00e9 \u4f60\n2") == "caf\u00e9 \u4f60\n2"


def test_a_line_that_nobody_reads_to_its_end_is_cut():
    assert len(str(CoherenceError("x" * 10**6))) == 1_500
    assert shortened("x" * 100) == f"'{'x' * 56}..."
    assert shortened([1, 2]) == "[1, 2]"
