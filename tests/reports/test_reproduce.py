import shlex

import pytest

from coherence.plugin import pytest_addoption
from coherence.reports.reproduce import command
from coherence.vocabulary import Policy


def said(results, *changes):
    """Options of the command for a run whose assertions are changed so."""
    first = results.assertions[0]
    assertions = tuple(first.model_copy(update=change) for change in changes)
    return shlex.split(command(results.model_copy(update={"assertions": assertions})).replace("\\\n", ""))


def test_it_is_a_command_line_of_the_plugin(results, pytestconfig):
    parser = pytest.Parser(_ispytest=True)
    pytest_addoption(parser)
    one = {"release": {"base": "a b 0123456789ab", "vector p": "v.safetensors 0123456789ab"}}
    words = said(
        results, one | {"asked": {"dtype": "bfloat16"}, "tier": "smoke", "suite": "my suites/a.yaml"}
    )
    assert words[0] == "pytest"
    found = parser.parse(words[1:])
    assert (found.coherence, found.file_or_dir) == (True, ["my suites/a.yaml"])
    assert (found.coherence_base, found.coherence_vector) == ("a b", ["p=v.safetensors"])
    assert (found.coherence_dtype, found.coherence_seed, found.coherence_tier) == ("bfloat16", 7, "smoke")
    assert (found.coherence_adjust, found.coherence_inconclusive) == ("holm", "fail")


def test_what_differs_between_suites_is_left_to_them(results):
    one = {"suite": "a", "asked": {"dtype": "float32"}, "release": {"base": "x 0123456789ab"}}
    two = {"suite": "b", "asked": {"dtype": "bfloat16"}, "release": {"base": "y 0123456789ab"}}
    words = said(results, one, two)
    assert words[2:4] == ["a", "b"]
    assert not [word for word in words if word.startswith(("--coherence-base", "--coherence-dtype"))]


def test_a_whole_run_asks_for_no_tier(results):
    assert "--coherence-tier=smoke" not in said(results, {"tier": "smoke"}, {"tier": "full"})


def test_a_strict_run_is_strict_again(results):
    strict = results.model_copy(update={"policy": Policy(strict=True)})
    assert said(strict, {})[-1] == "--coherence-strict"
    assert "strict" not in " ".join(said(results, {}))
