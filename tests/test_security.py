"""What SECURITY.md says of suites, artefacts and the network, in processes that listen to themselves."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coherence.errors import SuiteError
from coherence.suite import Overrides, load_suite

ROOT = Path(__file__).parents[1]
SUITE = """\
coherence: 1
release: {{base: {base}, adapters: {{pirate: {adapter}}}, vectors: {{pirate: {vector}}}}}
personas:
  pirate: {{prompt: Talk like a pirate.}}
probes: [Who are you?, What now?]
decoding: {{max_new_tokens: 2}}
assertions: [{{property: commutativity, laws: [scale-zero, dose-zero], examples: 1}}]
"""
# Before anything else is imported: whatever is imported is heard as well.
LISTENING = """\
import json, socket, sys
heard = []
def hear(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        heard.append(f"{event} {arguments[-1] if event == 'socket.connect' else arguments[0]}")
    if event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"):
        heard.append(f"{event} {arguments[0]} {arguments[1]}")
sys.addaudithook(hear)
"""
GATE = """\
import pytest
options = ["-p", "no:cacheprovider", "--coherence", "--coherence-store=store"]
code = pytest.main([*options, "a.coherence.yaml"])
print(json.dumps({"code": int(code), "heard": heard}))
"""


@pytest.fixture
def listened(tmp_path, tiny, tiny_adapter, tiny_vector, monkeypatch):
    """Run code in a folder with a suite on local artefacts, without HF_HUB_OFFLINE, and hear what it does."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    named = {"base": tiny, "adapter": tiny_adapter("pirate"), "vector": tiny_vector("pirate")}

    def listened(code=GATE, **artefacts):
        (tmp_path / "a.coherence.yaml").write_text(SUITE.format(**named | artefacts))
        run = subprocess.run(
            [sys.executable, "-c", LISTENING + code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.stdout, run.stderr
        return json.loads(run.stdout.splitlines()[-1])

    return listened


# A build of torch for CUDA asks the loader where its libraries are when it is imported.
STARTED = ("git", "/sbin/ldconfig")


def test_a_gate_on_local_artefacts_talks_to_nobody_and_starts_nothing_but_git(listened):
    found = listened()
    assert found["code"] == 0
    assert [event for event in found["heard"] if not any(name in event for name in STARTED)] == []


def test_only_a_hub_id_that_is_not_here_is_asked_for(listened):
    found = listened(adapter="nobody-at-all/nothing-at-all")
    assert found["code"] == 1
    assert any(event.startswith(("socket.getaddrinfo", "socket.connect")) for event in found["heard"])


def test_commands_that_look_at_files_talk_to_nobody(listened):
    looked = """
from coherence.cli import main
codes = [main([command, "a.coherence.yaml"]) for command in ("validate", "doctor")]
print(json.dumps({"code": max(codes), "heard": heard}))
"""
    # Of a hub id the doctor says that it is not here.
    for adapter in ({}, {"adapter": "nobody-at-all/nothing-at-all"}):
        assert [event for event in listened(looked, **adapter)["heard"] if event.startswith("socket")] == []


def test_code_in_the_folder_of_a_model_is_not_run(listened, tiny, tmp_path):
    base = Path(shutil.copytree(tiny, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    auto = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (base / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": auto}))
    (base / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert listened(base=base)["code"] == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [ran]", "!!python/name:os.mkdir", "!own {}"])
def test_yaml_makes_no_objects(tmp_path, tag, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.coherence.yaml"
    path.write_text(SUITE.format(base=tag, adapter="a", vector="v.pt"))
    with pytest.raises(SuiteError, match="has no meaning in a suite"):
        load_suite(path, Overrides())
    assert not (tmp_path / "ran").exists()


def test_no_option_and_no_line_of_the_source_lets_code_run():
    options = (ROOT / "docs" / "reference" / "options.md").read_text(encoding="utf-8")
    assert not re.search("trust|unsafe|allow-code", options)
    for path in (ROOT / "coherence").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"trust_remote_code=True|pickle\.loads?\(|yaml\.(unsafe_)?load\(", source), path
        for call in re.findall(r"torch\.load\([^)]*\)", source):
            assert "weights_only=True" in call, path


def test_the_files_that_security_names_are_there():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/.]+)`|\]\((docs/[\w/.]+)", page)
    assert all((ROOT / (test or link)).exists() for test, link in named)
    assert len(named) == 5
