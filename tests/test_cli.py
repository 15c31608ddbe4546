"""The `coherence` command."""

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coherence import __version__
from coherence.cli import main
from coherence.engine.vectors import load_vector
from coherence.plan import Answer
from coherence.store import Store
from coherence.suite.schema import schema
from coherence.vocabulary import Site, VectorSource

SUITE = """\
coherence: 1
release: {{base: {base}, adapters: {{pirate: ./lost}}}}
personas:
  pirate: {{prompt: Talk like a pirate.}}
  counsel: {{prompt: Be formal.}}
  mute: {{}}
probes: [Who are you?]
assertions: [{{property: commutativity, laws: [scale-zero]}}]
"""


@pytest.fixture
def suite(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.coherence.yaml"
    path.write_text(SUITE.format(base=tiny))
    return path


@pytest.fixture
def extracted(suite: Path) -> Callable[..., np.ndarray]:
    """Extract a vector with the given options, and read it back as a release would."""

    def extracted(*options: str) -> np.ndarray:
        assert main(["extract", "a.coherence.yaml", "pirate", "--out", "v.safetensors", *options]) == 0
        return load_vector(VectorSource(path="v.safetensors"), 32, 4, "pirate").values

    return extracted


def test_extract_writes_a_vector_that_a_release_can_use(extracted, capsys):
    extracted("--site", "resid_post.2")
    vector = load_vector(VectorSource(path="v.safetensors"), 32, 4, "pirate")
    assert vector.site == Site.parse("resid_post.2")
    assert vector.metadata["persona"] == "pirate"
    assert vector.metadata["against"] == "neutral"
    assert capsys.readouterr().out == ("v.safetensors: pirate against neutral at resid_post.2, width 32\n")


def test_extract_against_another_persona_and_back_are_opposite(extracted, suite):
    there = extracted("--site", "resid_post.2", "--against", "counsel")
    back = ["extract", str(suite), "counsel", "--against", "pirate", "--site", "resid_post.2"]
    assert main([*back, "--out", "w.safetensors"]) == 0
    other = load_vector(VectorSource(path="w.safetensors"), 32, 4, "counsel")
    assert other.values == pytest.approx(-there, abs=1e-5)
    assert other.metadata["against"] == "pirate"


def test_extract_at_another_position_is_another_vector(extracted):
    at_the_end = extracted("--site", "resid_post.2", "--position", "prompt_last")
    assert not np.allclose(at_the_end, extracted("--site", "resid_post.2"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("a.coherence.yaml pirat", "a.coherence.yaml has no persona 'pirat'; did you mean 'pirate'?"),
        (
            "a.coherence.yaml pirate --against counse",
            "a.coherence.yaml has no persona 'counse'; did you mean 'counsel'?",
        ),
        ("a.coherence.yaml mute", "persona 'mute' cannot be put into the model by prompt: its prompt is not"),
        ("lost.yaml pirate", "there is no file lost.yaml"),
        ("a.coherence.yaml pirate --site resid_post.9", "found the site resid_post.9, expected a block from"),
        ("a.coherence.yaml pirate --against pirate", "the two prompts do not differ at resid_post.1"),
        ("a.coherence.yaml pirate --out a.coherence.yaml/v.safetensors", "v.safetensors cannot be written: "),
    ],
)
@pytest.mark.usefixtures("suite")
def test_what_cannot_be_extracted_is_a_sentence(arguments, sentence, capsys):
    suite, persona, *options = arguments.split()
    given = ["--out", "v.safetensors", "--site", "resid_post.1", *options]
    assert main(["extract", suite, persona, *given]) == 4
    said = capsys.readouterr().err
    assert said.startswith("coherence: ")
    assert sentence in said
    assert not Path("v.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("fetsh", "invalid choice: 'fetsh'"),
        ("extract", "the following arguments are required: suite, persona, --out"),
        (
            "extract s p --out v.safetensors --site resid_post.x",
            "argument --site: 'resid_post.x' is not a site; expected resid_pre.N or resid_post.N",
        ),
        ("extract s p --out v.txt", "argument --out: found the ending '.txt', expected .safetensors"),
        ("extract s p --out v.safetensors --position last", "invalid choice: 'last'"),
        ("calibrate", "the following arguments are required: suite"),
        (
            "calibrate s --false-alarm 5",
            "argument --false-alarm: found '5', expected a number between 0 and 1, such as 0.05",
        ),
        ("calibrate s --power much", "argument --power: found 'much', expected a number between 0 and 1"),
        ("calibrate s --halves 2", "argument --halves: found '2', expected a number from 10, such as 40"),
    ],
)
def test_a_wrong_command_line_is_a_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments.split())
    assert left.value.code == 4
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


CALIBRATED = """\
coherence: 1
release:
  base: {base}
  adapters: {adapters}
  vectors: {vectors}
personas: {{pirate: {{dose: 0.01}}, counsel: {{dose: 0.01}}, oncall: {{dose: 0.01}}}}
probes: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]  # as short as probes can be
decoding: {{max_new_tokens: 2}}
assertions:
  - property: collinearity  # so weak a vector leaves the adapter what it is
    between: [adapter, adapter+steering]
    sites: resid_post.2
    min_cosine: -1.00  # no less
    min_ceiling: 0
  - {{property: collinearity, id: known, between: [adapter, steering], sites: resid_post.2, min_cosine: 1,
     expect: fail}}
"""


@pytest.fixture
def calibrated(
    tiny: Path, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path], suite: Path
) -> Path:
    def made(make: Callable[..., Path]) -> str:
        return json.dumps(
            {name: str(make(name, seed=n)) for n, name in enumerate(("pirate", "counsel", "oncall"))}
        )

    path = suite.with_name("c.coherence.yaml")
    path.write_text(CALIBRATED.format(base=tiny, adapters=made(tiny_adapter), vectors=made(tiny_vector)))
    return path


def test_calibrate_proposes_and_writes_only_when_told(calibrated, capsys):
    before = calibrated.read_text()
    asked = ["calibrate", "c.coherence.yaml", "--halves", "10", "--seed", "3"]
    assert main(asked) == 0
    first = capsys.readouterr()
    assert calibrated.read_text() == before
    assert "coherence: loading the model: 1 done" in first.err
    assert "coherence: assertions judged: 3 done" in first.err
    assert re.search(r"^collinearity, line 10 +\|", first.out, re.MULTILINE)
    proposed = dict(
        re.findall(r"^  (min_\w+) +\| +\S+ \| +(\S+) \| .* \| +20 \| +\S+$", first.out, re.MULTILINE)
    )
    assert float(proposed["min_cosine"]) > 0.9
    assert "false alarms 5 %, power 90 %, 10 halves, seed 3, 20 probes" in first.out
    assert "c.coherence.yaml:15 known is expected to fail: left alone" in first.out
    assert f"+    min_cosine: {proposed['min_cosine']}  # no less" in first.out
    assert first.out.endswith("nothing is written; --write changes c.coherence.yaml so\n")

    assert main([*asked, "--write"]) == 0
    second = capsys.readouterr()
    assert "loading the model" not in second.err
    assert second.out.endswith("written into c.coherence.yaml\n")
    written = before.replace("-1.00", proposed["min_cosine"])
    added = f"min_ceiling: 0\n    min_margin: {proposed['min_margin']}\n"
    assert calibrated.read_text() == written.replace("min_ceiling: 0\n", added)

    assert main([*asked, "--write"]) == 0
    assert capsys.readouterr().out.endswith("no threshold changes\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("lost.yaml", "there is no file lost.yaml"),
        (
            "a.coherence.yaml",
            "a.coherence.yaml has no claim that is expected to pass, so nothing to calibrate",
        ),
    ],
)
@pytest.mark.usefixtures("suite")
def test_what_cannot_be_calibrated_is_a_sentence(arguments, sentence, capsys):
    assert main(["calibrate", *arguments.split()]) == 4
    assert capsys.readouterr().err == f"coherence: {sentence}\n"


def test_schema_is_that_of_suites(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


def test_fetch_says_where_the_reference_model_is(reference, capsys):
    assert main(["fetch"]) == 0
    assert capsys.readouterr().out == f"the reference model is in {reference}\n"


def test_fetch_says_why_it_cannot(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "file"))
    assert main(["fetch"]) == 4
    assert capsys.readouterr().err.startswith("coherence: the reference model cannot be kept in ")


def test_the_command_is_installed_and_light():
    program = "import sys; from coherence.cli import main; main(['schema']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0
    command = Path(sys.executable).with_name("coherence")
    run = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"{__version__}\n"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of the user's cache, with three readings of 1 kB and a reply."""
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path))
    monkeypatch.delenv("COHERENCE_STORE_SIZE", raising=False)
    store = Store(tmp_path / "store")
    store.put({"kind": "Reply", "base": "b" * 64}, Answer("Yes.", (1,)))
    for probe in range(3):
        store.put({"kind": "Reading", "base": "a" * 64, "probe": probe}, np.zeros(200, np.float32))
    return store


def age(store: Store, hours: float) -> None:
    used = time.time() - hours * 3600
    for entry in store.entries():
        os.utime(entry.path, (used, used))


def test_store_ls_groups_by_kind_and_base(store, capsys):
    age(store, 24)
    size = sum(entry.size for entry in store.entries())
    assert main(["store", "ls"]) == 0
    head, _, reading, reply, total = capsys.readouterr().out.splitlines()
    assert head.split(" | ") != [head]
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(store.entries()[0].used))
    assert [part.strip() for part in reading.split("|")][:3] == ["Reading", "a" * 12, "3"]
    assert [part.strip() for part in reading.split("|")][4:] == [day, day]
    assert [part.strip() for part in reply.split("|")][:3] == ["Reply", "b" * 12, "1"]
    assert total == f"4 entries, {size / 1000:.1f}KB, in {store.root}"


def test_store_ls_shows_what_has_no_key(store, capsys):
    store.entries()[0].path.write_bytes(b"")
    assert main(["store", "ls", "--store", str(store.root)]) == 0
    assert "damaged" in capsys.readouterr().out


def test_store_ls_on_a_terminal_has_lines(store):
    leader, follower = pty.openpty()
    command = [Path(sys.executable).with_name("coherence"), "store", "ls"]
    environment = os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
    subprocess.run(command, stdout=follower, env=environment, check=True)
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "\u2500" in shown
    assert "\x1b[" in shown


def test_store_verify_says_what_is_damaged_and_removes_only_when_told(store, capsys):
    assert main(["store", "verify"]) == 0
    assert capsys.readouterr().out == "0 of 4 entries are damaged\n"
    damaged = store.entries()[0].path
    damaged.write_bytes(damaged.read_bytes()[:-1])
    for _ in range(2):
        assert main(["store", "verify"]) == 1
        line, total = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{damaged}: it is no whole safetensors file: ")
        assert total == "1 of 4 entries are damaged"
    assert main(["store", "verify", "--remove"]) == 1
    assert capsys.readouterr().out.endswith("1 of 4 entries are damaged and removed\n")
    assert main(["store", "verify"]) == 0
    assert capsys.readouterr().out == "0 of 3 entries are damaged\n"


def test_store_prune_says_what_it_freed(store, capsys, monkeypatch):
    size = sum(entry.size for entry in store.entries())
    assert main(["store", "prune"]) == 0
    assert capsys.readouterr().out == f"0 entries evicted, 0B freed; left: {size / 1000:.1f}KB\n"
    assert main(["store", "prune", "--limit", "0"]) == 0
    assert capsys.readouterr().out.endswith(f"left: {size / 1000:.1f}KB, used in the last hour\n")
    age(store, 2)
    monkeypatch.setenv("COHERENCE_STORE_SIZE", "1B")
    assert main(["store", "prune", "--limit", "1MB"]) == 0
    assert capsys.readouterr().out.startswith("0 entries")
    assert main(["store", "prune"]) == 0
    assert capsys.readouterr().out == f"4 entries evicted, {size / 1000:.1f}KB freed; left: 0B\n"
    assert store.entries() == []


@pytest.mark.parametrize("action", ["ls", "verify", "prune"])
def test_a_folder_without_a_store_is_a_sentence(action, tmp_path, capsys):
    assert main(["store", action, "--store", str(tmp_path / "lost")]) == 4
    assert capsys.readouterr().err.startswith(f"coherence: there is no store in {tmp_path / 'lost'}; ")


def test_a_bad_limit_is_a_sentence(store, capsys, monkeypatch):
    with pytest.raises(SystemExit) as left:
        main(["store", "prune", "--limit", "2,5GB"])
    assert left.value.code == 4
    assert "argument --limit: found the size '2,5GB', expected one such as 2GB" in capsys.readouterr().err
    monkeypatch.setenv("COHERENCE_STORE_SIZE", "lots")
    assert main(["store", "prune"]) == 4
    assert capsys.readouterr().err.startswith("coherence: COHERENCE_STORE_SIZE: found the size 'lots'")
