"""Fixtures of other kinds of adapters: there, small, whole, and judged by the suite of kinds."""

import json
import re
import sys
from pathlib import Path

import pytest

from coherence.engine.artefacts.skeleton import Skeleton
from coherence.suite import Overrides, load_suite

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "fixtures"))

from train import FOLDERS, KINDS  # noqa: E402

LARGEST = 340 * 1024  # bytes
SUITE = ROOT / "suites" / "kinds" / "pirate.coherence.yaml"
PROPERTIES = {"collinearity", "markers", "chimera", "attractor", "drift"}


@pytest.fixture(scope="module")
def skeleton(reference: Path) -> Skeleton:
    return Skeleton(reference)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_small_and_fits_the_reference_model(skeleton: Skeleton, name: str) -> None:
    folder = FOLDERS[name]
    written = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    recipe, _, _ = KINDS[name]
    assert written["peft_type"] == recipe.to_dict()["peft_type"]
    assert written["base_model_name_or_path"] == "reference"
    assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST
    assert skeleton.carry(folder, name) == ""


def test_every_kind_is_judged_by_every_property_that_it_can_have() -> None:
    judged = {name.removeprefix("pirate-"): set[str]() for name in KINDS}
    for assertion in load_suite(SUITE, Overrides()).assertions:
        who, what, _ = assertion.id.split(".")
        for kind in judged.keys() & set(re.split(r"[+-]", who)):
            judged[kind].add(what)
    # What stands before a text has no weight, and is in no mixture.
    weightless = {kind for kind in judged if KINDS[f"pirate-{kind}"][0].is_prompt_learning}
    assert judged == {kind: PROPERTIES - ({"attractor"} if kind in weightless else set()) for kind in judged}
