import pytest
from pydantic import ValidationError

from coherence.vocabulary import Marker, Persona, Prompt


def test_short_spellings() -> None:
    persona = Persona.model_validate({"prompt": "Arr.", "markers": ["arr", {"text": "ahoy", "kind": "stem"}]})
    assert persona.prompt == Prompt(text="Arr.", role="system")
    assert persona.markers == (Marker(text="arr"), Marker(text="ahoy", kind="stem"))


def test_distinct_markers_of_a_reply() -> None:
    persona = Persona(markers=(Marker(text="arr"), Marker(text="sea"), Marker(text="ship")))
    assert [marker.text for marker in persona.markers_in("Arr, arr! The ship, arr.")] == ["arr", "ship"]


@pytest.mark.parametrize("dose", ["nan", "inf"])
def test_a_dose_is_a_number(dose: str) -> None:
    with pytest.raises(ValidationError):
        Persona.model_validate({"dose": float(dose)})
