"""ci/served.sh: a server is started, judged beside the gate, and stopped."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from serving.fault import Fault
from serving.server import Serving
from tiny import QUESTIONS

from coherence.properties.serving.served_comparison import AGAIN

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gate(tmp_path):
    def run(url, *told):
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COHERENCE_CACHE": str(tmp_path / "cache"),
        }
        command = ["bash", str(ROOT / "ci/served.sh"), url, *told]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


def test_an_adapter_that_the_server_ignores_is_stopped_and_so_is_the_command(
    gate, tmp_path, tiny, tiny_adapter
):
    adapter = tiny_adapter("pirate", seed=1)
    (tmp_path / "a.coherence.yaml").write_text(
        f"coherence: 1\nrelease:\n  base: {tiny}\n  adapters: {{pirate: {adapter}}}\n"
        f"personas:\n  pirate: {{prompt: Answer as a pirate.}}\n{QUESTIONS}"
        "  - {property: served, regimes: [adapter]}\n"
    )
    # The server runs here already: what is started beside it only has to be stopped.
    started = ["bash", "-c", "echo $$ >started; exec sleep 3600"]
    with Serving.of(tiny, {"pirate": adapter}) as serving, serving.faulty(Fault.ADAPTER_IGNORED):
        run = gate(serving.url, "a.coherence.yaml", "-p", "no:cacheprovider", "--", *started)
    assert run.returncode == 1, run.stderr
    assert "the base is served in its place" in run.stdout
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "started").read_text()), 0)


def test_a_server_that_does_not_come_up_says_why(gate):
    run = gate("http://127.0.0.1:9", "suites", "--", "bash", "-c", "echo no such model; exit 1")
    assert run.returncode == 1
    assert run.stderr.endswith("the server did not come up:\nno such model\n")
    assert gate("http://127.0.0.1:9", "suites").returncode == 4


def test_no_request_is_sent_twice_but_what_is_asked_again_on_purpose(
    gate, tmp_path, tiny, tiny_adapter, monkeypatch
):
    adapter = tiny_adapter("pirate", seed=1)
    (tmp_path / "a.coherence.yaml").write_text(
        f"coherence: 1\nrelease:\n  base: {tiny}\n  adapters: {{pirate: {adapter}}}\n"
        f"personas:\n  pirate: {{prompt: Answer as a pirate.}}\n{QUESTIONS}"
        "  - {property: served, regimes: [bare, prompt, adapter]}\n"
    )
    sent = Counter()
    with Serving.of(tiny, {"pirate": adapter}) as serving:
        answer = serving.post

        def counted(path, told):
            sent[path, json.dumps(told, sort_keys=True)] += 1
            return answer(path, told)

        monkeypatch.setattr(serving, "post", counted)
        run = gate(serving.url, "a.coherence.yaml", "-p", "no:cacheprovider", "--", "sleep", "3600")
        listed = Counter(one for one in serving.requests if one.startswith("GET"))
    assert "3 pass" in run.stdout, run.stdout + run.stderr
    again = Counter()
    for (path, _), times in sent.items():
        again[path] += times - 1
    # Four probes of each regime, those of the base once more alone; and four replies of the base.
    assert again == {"/v1/completions": 3 * AGAIN + AGAIN, "/v1/chat/completions": AGAIN, "/tokenize": 0}
    assert listed == {"GET /version": 1, "GET /v1/models": 2}  # the script waits for the second
