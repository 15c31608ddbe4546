import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.vocabulary import Regime
from coherence.vocabulary.regime import LAYERS

stacks = st.lists(st.sampled_from(LAYERS), min_size=1).filter(lambda layers: set(layers) != {"thinking"})


@given(layers=stacks)
def test_the_order_of_a_stack_does_not_matter(layers: list[str]) -> None:
    regime = Regime.parse("+".join(layers))
    assert regime == Regime.parse("+".join(reversed(layers)))
    assert regime.layers == set(layers)
    assert Regime.parse(str(regime)) == regime


def test_it_is_written_in_one_order() -> None:
    assert str(Regime.parse("steering+prompt+adapter")) == "prompt+adapter+steering"


def test_bare_is_no_layer_at_all() -> None:
    assert Regime.parse("bare") == Regime.BARE
    assert str(Regime.BARE) == "bare"


@pytest.mark.parametrize(
    ("text", "word"),
    [("promt", "promt"), ("prompt+adaptor", "adaptor"), ("prompt+", ""), ("bare+prompt", "bare")],
)
def test_what_is_no_regime(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"^{word!r} is not a regime"):
        Regime.parse(text)


def test_a_cap_is_a_layer_among_others() -> None:
    assert str(Regime.parse("cap+prompt")) == "prompt+cap"


def test_to_reason_is_no_way_to_put_a_persona_into_a_model() -> None:
    assert str(Regime.parse("thinking+prompt")) == "prompt+thinking"
    with pytest.raises(ValueError, match=r"^thinking puts no persona into the model; expected a stack"):
        Regime.parse("thinking")


def test_a_misspelling_is_recognised() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'steering'\?"):
        Regime.parse("stearing")
