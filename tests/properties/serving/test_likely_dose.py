from math import nan

import pytest

from coherence.properties.serving.likely_dose import Numbers, likely

PLAIN, RSLORA = Numbers(16, 32, 2.0), Numbers(16, 32, 8.0)


@pytest.mark.parametrize(
    ("dose", "numbers", "said"),
    [
        (0.02, PLAIN, "the base is served in its place"),
        (2.05, PLAIN, "it is applied twice"),
        (0.5, PLAIN, "half of it is applied or its scale is taken to be 1"),
        (0.25, RSLORA, "that it is rsLoRA is passed over"),
        (4.0, PLAIN, "4 times as strongly or more, as where its scale is taken to be alpha / sqrt(r)"),
        (4.0, Numbers(1, 1, 1.0), "it acts 4 times as strongly or more"),
        (2.0, Numbers(nan, nan, nan), "it is applied twice"),
        (2.0, None, "it is applied twice"),
    ],
)
def test_a_dose_has_its_likely_mistake(dose, numbers, said):
    assert said in str(likely(dose, dose, 4.0, numbers))


def test_a_sign_that_is_turned_round():
    assert likely(0.0, -0.9, 4.0, PLAIN) == "its sign is turned round"


@pytest.mark.parametrize("dose", [0.8, 1.0, 1.3, 3.0])
def test_nothing_is_named_that_no_mistake_makes(dose):
    assert likely(dose, dose, 4.0, PLAIN) is None
