import gc
import os
import pickle
import subprocess
import sys
from itertools import count

import pytest

from coherence import limits
from coherence.engine.model.bounded_call import BoundedCall, StoppedError

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks are bounded on Linux")


def double(number: int) -> int:
    return 2 * number


def mine(_: int) -> int:
    return os.getpid()


def test_it_gives_what_the_function_gives():
    call = BoundedCall(double)
    assert [call(number) for number in range(3)] == [0, 2, 4]
    assert pickle.loads(pickle.dumps(call))(4) == 8


@linux
def test_calls_are_made_in_one_process_of_their_own_which_ends_with_them():
    call = BoundedCall(mine)
    child = call(0)
    assert child == call(1) != os.getpid()
    del call
    gc.collect()
    assert subprocess.run(["ps", "-p", str(child)], check=False, capture_output=True).returncode


@linux
@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda: sum(count()), "takes more than 1 seconds"),
        (lambda: 9**9**9, "takes more than 1 seconds"),
        (lambda: "x" * 10**12, "takes more than 500,000,000 bytes of memory"),
        (lambda: [bytearray(10**8) for _ in range(8)], "takes more than 500,000,000 bytes of memory"),
    ],
)
def test_what_takes_too_much_is_stopped_and_not_begun_again(monkeypatch, function, sentence):
    monkeypatch.setattr(limits, "TEMPLATE_SECONDS", 1)
    monkeypatch.setattr("coherence.engine.model.bounded_call._TOO_LONG", "takes more than 1 seconds")
    call = BoundedCall(function)
    for _ in range(2):
        with pytest.raises(StoppedError, match=sentence):
            call()
