"""The examples of docs/commands.md and of --help: the same, and run in their order on the tiny model."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from judged import judged, mean, run
from tiny import write_judged, write_letters_as_markers, write_transcripts

from coherence.cli import COMMANDS, main
from coherence.engine.artefacts.digests import digest_of, folder_files
from coherence.engine.artefacts.reference_model import VERSION
from coherence.vocabulary import ArtefactFiles

DOCUMENT = Path(__file__).parents[2] / "docs" / "commands.md"
KEYS = """\
openssl genpkey -algorithm ed25519 -out private.pem
openssl pkey -in private.pem -pubout -out public.pem
"""
EXAMPLES = re.findall(r"^```sh\n(.+?)\n```$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)


def test_help_and_document_show_the_same_examples():
    assert sorted(EXAMPLES) == sorted(command.example for command in COMMANDS)


@pytest.fixture
def folder(tmp_path, tiny, tiny_adapter, reference):
    """The folder that the examples speak of."""
    shutil.copytree(tiny, tmp_path / "base")
    shutil.copytree(tiny_adapter("pirate"), tmp_path / "adapters" / "pirate")
    pirate = tmp_path / "adapters" / "pirate"
    files = folder_files(pirate)
    artefact = ArtefactFiles(
        name="adapter pirate", named=str(pirate), digest=digest_of(pirate, files), files=files
    )
    results = run(judged(mean([0.6, 0.7, 0.8, 0.9]), release={artefact.name: artefact.said}))
    results.model_copy(update={"artefacts": (artefact,)}).write(tmp_path / "coherence-results.json")
    subprocess.run(["bash", "-ec", KEYS], cwd=tmp_path, check=True)
    write_judged(tmp_path / "judged.coherence.yaml", tmp_path / "base")
    write_transcripts(tmp_path / "transcripts.jsonl")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"reference-{VERSION}").symlink_to(reference)
    return tmp_path


def test_every_example_works(folder, warm_python, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COHERENCE_CACHE", str(folder / "cache"))
    monkeypatch.setenv("PATH", str(warm_python.parent), prepend=os.pathsep)
    for example in EXAMPLES:
        command, *arguments = shlex.split(example)
        if arguments[:1] == ["distill"]:
            write_letters_as_markers(Path(arguments[1]))
        if command == "coherence" and ">" not in arguments:
            # The tiny model is a bad judge, and no persona at all; the check and the monitor say so.
            assert main(arguments) == (arguments[0] in ("judge", "monitor")), example
        else:  # what takes a shell
            subprocess.run(["bash", "-c", f"set -e; {example}"], check=True)
    made = {"pirate.coherence.yaml", "report.html", "coherence-baseline.json", "pirate.safetensors"}
    made |= {"coherence-results.json.sig", "bom.json"}
    assert made | {"coherence.schema.json"} <= {file.name for file in folder.iterdir()}
    said = capsys.readouterr().out
    assert "The right adapter passes: " in said
    assert "The wrong adapter is stopped: " in said
    assert "1 suite, no problems" in said
    assert "tolerance 0.0001: holds" in said
    assert "the judge gives no score to 16 of 16 labelled replies" in said
