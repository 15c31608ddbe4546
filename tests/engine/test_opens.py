"""What loading a release opens: the files that its digests are of, and nothing beside them."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coherence.engine.artefacts.digests import counted_files

# Hears what Python opens, from when all is imported; libraries that are not Python's say nothing there.
PROGRAM = """
import json
import sys
from pathlib import Path

from conditions import ADAPTER, BARE, STEERED
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.errors import CoherenceError
from coherence.plan import Plan, Reply
from coherence.store import Store
from coherence.vocabulary import Decoding, Probe, Release

folder, store = map(Path, sys.argv[1:])
opened = set()
vector = {"path": str(folder / "vector.safetensors")}
named = {"base": str(folder / "base"), "adapters": {"pirate": str(folder / "adapter")}}
artefacts = Artefacts(Release.model_validate({**named, "vectors": {"pirate": vector}}), {})
probe = Probe(id="order", text="Where is my order?")
plan = Plan(Reply(one, probe, Decoding(max_new_tokens=2)) for one in (BARE, ADAPTER, STEERED))
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
found = Engine(artefacts, Store(store)).measure(plan)
problems = [str(one) for one in found.values() if isinstance(one, CoherenceError)]
print(json.dumps([sorted(opened), problems]))
"""
NOT_COUNTED = ("README.md", "notes.txt", "model.gguf", "training_args.pt", "vocab.bpe", "optimizer.pth")
IN_OPEN = 0x20
HEAD = 16


@pytest.fixture
def release(
    tiny: Path, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path], tmp_path: Path
) -> Path:
    """A base, an adapter and a vector beside files that no digest is of, and another base elsewhere."""
    folder = tmp_path / "release"
    shutil.copytree(tiny, folder / "base")
    shutil.copytree(tiny_adapter("pirate"), folder / "adapter")
    shutil.copy(tiny_vector("pirate"), folder / "vector.safetensors")
    shutil.copytree(tiny, tmp_path / "elsewhere")
    for place in (folder / "base", folder / "adapter"):
        (place / "nested").mkdir()
        for name in (*NOT_COUNTED, "nested/config.json", "nested/model.safetensors"):
            (place / name).write_bytes(b"{}")
    return folder


@contextmanager
def watched(*folders: Path) -> Iterator[set[Path]]:
    """Hear from the kernel which files of the folders anybody opens, whatever language it is written in."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    places = {libc.inotify_add_watch(watch, os.fsencode(folder), IN_OPEN): folder for folder in folders}
    heard: set[Path] = set()
    try:
        yield heard
        events = os.read(watch, 1 << 22)
        while events:
            number, length = int.from_bytes(events[:4], "little"), int.from_bytes(events[12:HEAD], "little")
            name = os.fsdecode(events[HEAD : HEAD + length].rstrip(b"\0"))
            if name:
                heard.add(places[number] / name)
            events = events[HEAD + length :]
    finally:
        os.close(watch)


def opened(release: Path, store: Path) -> tuple[list[Path], list[str]]:
    """Measure a release in a process of its own: what Python opened in it, and what went wrong."""
    root = Path(__file__).parents[2]
    search = os.pathsep.join([str(root), str(root / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": search, "COHERENCE_CACHE": str(store / "cache")}
    command = [sys.executable, "-c", PROGRAM, release, store / "store"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    paths, problems = json.loads(run.stdout.splitlines()[-1])
    return [Path(path) for path in paths], problems


NAMED_ELSEWHERE = {
    "tokenizer_config.json": ("tokenizer_file", "vocab_file", "added_tokens_file", "chat_template_file"),
    "config.json": ("_name_or_path", "name_or_path", "base_model_name_or_path"),
    "generation_config.json": ("_name_or_path",),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")
@pytest.mark.parametrize("names_another", [False, True])
def test_loading_opens_what_the_digests_are_of_and_nothing_beside_it(release, tmp_path, names_another):
    elsewhere = tmp_path / "elsewhere"
    base, adapter = release / "base", release / "adapter"
    written = {base / file: keys for file, keys in NAMED_ELSEWHERE.items()}
    written[adapter / "adapter_config.json"] = ("base_model_name_or_path",)
    for path, keys in written.items() if names_another else ():
        place = {
            key: str(elsewhere / "tokenizer.json" if key.endswith("_file") else elsewhere) for key in keys
        }
        path.write_text(json.dumps(json.loads(path.read_text()) | place))
    counted = {*counted_files(base), *counted_files(adapter), release / "vector.safetensors"}
    folders = (release, base, base / "nested", adapter, adapter / "nested", elsewhere)
    with watched(*folders) as heard:
        by_python, problems = opened(release, tmp_path)
    assert problems == []
    files = {path for path in heard if not path.is_dir()}
    assert files == counted
    assert {path for path in by_python if path.is_relative_to(tmp_path)} - counted == {
        path for path in by_python if path.is_relative_to(tmp_path / "store") or "cache" in path.parts
    }
