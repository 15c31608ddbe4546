import pytest

SUITE = """\
coherence: 1
release:
  adapters:
    pirate: org/lora
personas:
  pirate:
    prompt: Arr.
probes: [A?, B?, C?, D?, E?, F?, G?, H?]
scripts:
  - id: calm
    turns: [Hi., Thanks.]
  - [Who are you?, Really?]
  - id: pushed
    kind: pressure
    turns:
      - Stop it.
      - Please.
  - id: said
    turns:
      - user: Hi.
      - assistant: Ahoy.
      - user: Who?
      - assistant:
      - user: Why?
      - assistant:
assertions:
  - {property: drift, regimes: [adapter], site: resid_post.1, max_drift: 0.1}
"""


def test_scripts_are_read_in_all_their_forms(load):
    scripts = load(SUITE).scene.scripts
    assert [script.id for script in scripts] == ["calm", "who-are-you", "pushed", "said"]
    assert [str(script.kind) for script in scripts] == ["neutral", "neutral", "pressure", "neutral"]
    assert [turn.assistant for turn in scripts[-1].turns] == ["Ahoy.", None, None]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "      - assistant: Ahoy.\n",
            "",
            "18: scripts[3]: turns 1 and 2 are both the user's; expected the assistant's between them",
        ),
        ("id: pushed", "id: calm", "13: the script id 'calm' is taken by a.coherence.yaml:10; give this one"),
        (
            "kind: pressure",
            "kind: presure",
            "13: scripts[2]: 'presure' is not a kind of script; did you mean 'p",
        ),
        ("max_drift: 0.1", "scripts: [clam], max_drift: 0.1", "27: no script is named 'clam'; did you mean"),
        ("[Hi., Thanks.]", "[Hi.]", "27: the model answers 1 of the turns of the script 'calm'; drift needs"),
        (
            "max_drift: 0.1",
            "coverage: 0.5",
            "27: assertions[0]: nothing is asserted; expected max_drift, max_difference or",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(refused, right, wrong, message):
    assert right in SUITE
    assert refused(SUITE.replace(right, wrong)).startswith(f"a.coherence.yaml:{message}")
