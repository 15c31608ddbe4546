"""Where an adapter begins that tokens of a text invoke."""

from pathlib import Path

import pytest
import torch
from kinds import saved
from tiny import tokenizer

from coherence.engine.batch.layout import Padded
from coherence.engine.batch.rows import Row
from coherence.engine.interventions.activations import Activations
from coherence.engine.model.host import Host
from coherence.errors import MeasurementError

WHOLE, HALF = (("plain", 1.0),), (("begun", 0.5),)

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def activations() -> Activations:
    made = Activations()
    made.add("begun", [7, 8])
    return made


@pytest.mark.parametrize(
    ("ids", "begins"), [((7, 8), 0), ((7, 8, 1, 7, 8, 2), 3), ((7, 7, 8), 1), ((1, 7, 8, 7), 1)]
)
def test_the_last_tokens_that_invoke_it_count(
    activations: Activations, ids: tuple[int, ...], begins: int
) -> None:
    assert activations.begins("begun", ids) == begins


def test_a_text_that_invokes_nothing_is_an_error(activations: Activations) -> None:
    with pytest.raises(
        MeasurementError, match=r"would do nothing: the prompt lacks .*: \[7, 8\]\); expected"
    ):
        activations.begins("begun", (8, 7, 1))


def test_tokens_before_are_those_of_the_base_and_padding_does_not_matter(activations: Activations) -> None:
    rows = [
        Row((1, 2, 7, 8, 3), (*WHOLE, *HALF)),
        Row((7, 8), HALF),
        Row((1, 2, 3), WHOLE),
    ]
    layout = Padded.of(rows, 0, torch.device("cpu"))
    runs = [
        (run.tokens.start, run.tokens.stop, run.name, run.weight) for run in activations.runs(rows, layout)
    ]
    assert runs == [(2, 5, "begun", 0.5), (8, 10, "begun", 0.5)]


def test_of_tokens_that_follow_all_are_under_it(activations: Activations) -> None:
    rows = [Row((1, 7, 8), HALF), Row((7, 8), HALF)]
    layout = Padded.of(rows, 0, torch.device("cpu")).followed([[4], [5]], [0, 1])
    assert [run.tokens for run in activations.runs(rows, layout)] == [slice(0, 1), slice(1, 2)]


def test_it_is_no_state_of_a_model_and_cannot_be_merged(tiny: Path, tmp_path: Path) -> None:
    host = Host.load(tiny, "float32")
    host.mount("begun", saved("activated lora", tiny, tmp_path / "adapter"))
    assert host.by_row(HALF)
    with (
        pytest.raises(MeasurementError, match="adapter 'begun' \\(activated LoRA\\) begins in the middle"),
        host.switched(HALF),
    ):
        raise AssertionError
    with host.switched((("begun", 0.0),)):
        pass
    ids = tokenizer()("Why?")["input_ids"]
    with pytest.raises(MeasurementError, match="would do nothing"):
        host.require_invoked(HALF, ids)
