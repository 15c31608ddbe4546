"""A conversation with a user that answers, from the suite to the report, on the tiny model."""

import pytest
import yaml

from coherence import open_suite
from coherence.vocabulary import Verdict

PROBES = [f"What is {thing}?" for thing in "abcdefgh"]


@pytest.fixture
def answered(tiny, tiny_adapter, tmp_path):
    """Open a suite beside which the user's model lies, and judge drift over conversations with it."""
    (tmp_path / "user").symlink_to(tiny)
    user = {"model": "./user", "prompt": "You want your order.", "max_new_tokens": 6}
    script = {"turns": ["Where is it?"], "length": 3, "user": user}
    scripts = [{**script, "id": f"talk-{number}", "user": {**user, "seed": number}} for number in range(4)]
    written = {
        "coherence": 1,
        "release": {"base": str(tiny), "adapters": {"pirate": str(tiny_adapter("pirate"))}},
        "personas": {"pirate": {"prompt": "Talk like a pirate."}, "counsel": {"prompt": "Be formal."}},
        "probes": PROBES,
        "scripts": scripts,
        "decoding": {"max_new_tokens": 4},
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(written))
    suite = open_suite(tmp_path / "a.yaml", store=tmp_path / "store")
    return suite.judge(
        {"property": "drift", "personas": ["pirate"], "regimes": ["adapter"], "site": "resid_post.1"}
        | {"max_drift": 0.5}
    )[0]


def test_drift_is_judged_over_conversations_with_a_user(answered):
    assert answered.verdict is not Verdict.ERROR, answered.sentence
    quoted = [note.note for note in answered.evidence.probes]
    assert quoted
    assert not any("what the user answers" in note for note in quoted)
