import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture
def pins(pytestconfig) -> dict[str, str]:
    lines = Path(pytestconfig.rootpath, "ci", "requirements.txt").read_text().splitlines()
    found = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin[1]): pin[2] for pin in found}


@pytest.fixture
def declared(pytestconfig) -> list[Requirement]:
    pyproject = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())
    written = pyproject["project"]["dependencies"] + pyproject["project"]["optional-dependencies"]["dev"]
    return [Requirement(line) for line in written + pyproject["build-system"]["requires"]]


def closure(roots: list[Requirement]) -> dict[str, Requirement]:
    """Everything the roots require on this machine, by name."""
    found: dict[str, Requirement] = {}
    waiting = list(roots)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found and not requirement.extras:
            continue
        found[name] = requirement
        further = [Requirement(line) for line in requires(name) or []]
        extras = requirement.extras or {""}
        waiting += [
            r for r in further if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)
        ]
    return found


def test_pins_are_the_whole_closure_and_nothing_else(pins, declared):
    brought_by_torch = re.compile("nvidia-|cuda-|triton")
    needed = {name for name in closure(declared) if not brought_by_torch.match(name)}
    assert set(pins) == needed


def test_pins_agree_with_the_declared_ranges(pins, declared):
    assert [str(r) for r in declared if not r.specifier.contains(pins[canonicalize_name(r.name)])] == []
