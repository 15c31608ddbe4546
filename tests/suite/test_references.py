import pytest

SUITE = """\
coherence: 1
release:
  adapters:
    pirate: org/lora
  vectors:
    made:
      extract:
        persona: pirate
        against: counsel
        site: resid_post.3
personas:
  pirate:
    prompt: Arr.
    adapter: pirate
    vector: made
  counsel:
    prompt: Hereby.
probes: [Who are you?]
assertions: [{property: commutativity}]
"""


def test_names_that_exist_are_no_problem(load):
    assert load(SUITE).assertions


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "adapter: pirate",
            "adapter: pirat",
            "14: the release has no adapter 'pirat'; did you mean 'pirate'?",
        ),
        ("vector: made", "vector: maid", "15: the release has no vector 'maid'; did you mean 'made'?"),
        ("persona: pirate", "persona: pirat", "8: no persona is named 'pirat'; did you mean 'pirate'?"),
        ("against: counsel", "against: council", "9: no persona is named 'council'; did you mean 'counsel'?"),
        ("prompt: Hereby.", "description: x", "9: persona 'counsel' has no prompt to extract a vector from"),
        (
            "probes: [Who are you?]",
            "seed: 1",
            "1: the suite has no probes; expected questions under 'probes:'",
        ),
        (
            "[{property: commutativity}]",
            "[]",
            "19: the suite asserts nothing; expected a list under 'assertions:'",
        ),
        ("[Who are you?]", "[Who are you?, Who are you.]", "18: the probe id 'who-are-you' is taken by"),
    ],
)
def test_a_loose_end_is_told_with_its_line(refused, right, wrong, message):
    assert right in SUITE
    assert refused(SUITE.replace(right, wrong)).startswith(f"a.coherence.yaml:{message}")
