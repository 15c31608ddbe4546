"""What is fuzzed: the kinds of input that coherence reads, sound ones of each, and how it reads them."""

# ruff: noqa: D102 - what `write`, `read` and the rest do is said where they are abstract

import copy
import io
import json
import sys
import zipfile
from abc import ABC, abstractmethod
from functools import cache, cached_property
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np
import torch
from documents import runs
from mutants import as_json, changed, misspelled, rewritten
from peft import LoraConfig, get_peft_model
from safetensors.torch import save as safetensors_bytes
from work import ROOT

sys.path.append(str(ROOT / "tests"))
import tiny

from coherence.baseline.baseline import Baseline
from coherence.baseline.differences import ComparisonTerms, compare
from coherence.engine.artefacts.digests import counted_files, model_files
from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.artefacts.template import Template
from coherence.engine.artefacts.vectors import load_vector
from coherence.engine.interventions.carrier import Carrier
from coherence.engine.model.adapter_reader import read_adapter
from coherence.engine.model.blocks import blocks_of
from coherence.engine.model.loading import load_model
from coherence.monitor.naming import Naming
from coherence.monitor.transcripts import Transcripts
from coherence.reports.html import write_html
from coherence.reports.junit import write_junit
from coherence.reports.markdown import write_markdown
from coherence.reports.terminal import summary
from coherence.results import Results
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Site, VectorSource

# How often what takes longest is done as well.
_SELDOM = 0.2


class Kind(ABC):
    """One kind of input. `write` makes a mutant in a folder, `read` reads it as coherence does."""

    name: ClassVar[str]

    @abstractmethod
    def write(self, random: Random, folder: Path) -> None:
        """Put a mutant into an empty folder."""

    @abstractmethod
    def read(self, random: Random, folder: Path) -> None:
        """Read it. What is raised must be an error of coherence."""


class Suites(Kind):
    """Suites with an included file and a file of probes, their text misspelled."""

    name = "suites"

    @cached_property
    def texts(self) -> list[str]:
        shipped = sorted((ROOT / "suites").rglob("*.coherence.yaml"))
        return [path.read_text() for path in (*shipped, ROOT / "fixtures" / "company.yaml")]

    def write(self, random: Random, folder: Path) -> None:
        (folder / "cast.yaml").write_bytes((ROOT / "fixtures" / "company.yaml").read_bytes())
        (folder / "probes.jsonl").write_bytes((ROOT / "fixtures" / "probes.jsonl").read_bytes())
        text = random.choice(self.texts).replace("../fixtures/company.yaml", "cast.yaml")
        content = misspelled(random, text).encode("utf-8", "surrogatepass")
        if random.random() < 0.1:
            content = changed(random, content)
        (folder / "a.coherence.yaml").write_bytes(content)

    def read(self, random: Random, folder: Path) -> None:
        load_suite(folder / "a.coherence.yaml", Overrides())


class Probes(Kind):
    """Files of probes, of which a line is another JSON, or none."""

    name = "JSONL"

    @cached_property
    def lines(self) -> list[str]:
        return (ROOT / "fixtures" / "probes.jsonl").read_text().splitlines()

    def write(self, random: Random, folder: Path) -> None:
        (folder / "a.coherence.yaml").write_text("coherence: 1\nprobes: probes.jsonl\n")
        lines = list(self.lines)
        at = random.randrange(len(lines))
        lines[at] = as_json(rewritten(random, json.loads(lines[at]))).decode()
        text = "\n".join(lines)
        content = (misspelled(random, text) if random.random() < 0.5 else text).encode(
            "utf-8", "surrogatepass"
        )
        (folder / "probes.jsonl").write_bytes(changed(random, content) if random.random() < 0.3 else content)

    def read(self, random: Random, folder: Path) -> None:
        load_suite(folder / "a.coherence.yaml", Overrides(), must_assert=False)


class Conversations(Kind):
    """Transcripts, as `coherence monitor` reads them."""

    name = "transcripts"

    def write(self, random: Random, folder: Path) -> None:
        answer = [{"type": "text", "text": "There."}]
        said = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": answer}]
        times = (f"2026-03-01T12:0{minute}:00Z" for minute in range(3))
        lines = [{"time": time, "release": "a", "persona": "pirate", "messages": said} for time in times]
        place = random.randrange(len(lines))
        written = [as_json(rewritten(random, line) if at == place else line) for at, line in enumerate(lines)]
        content = b"\n".join(line.replace(b"\n", b"") for line in written)
        (folder / "a.jsonl").write_bytes(changed(random, content) if random.random() < 0.5 else content)

    def read(self, random: Random, folder: Path) -> None:
        naming = Naming(("pirate", "counsel"), {"a": "counsel"})
        for utterance in Transcripts(folder / "a.jsonl", naming, last=random.random() < 0.5):
            _ = utterance.probe, utterance.digest


class _Vectors(Kind):
    """Files of steering vectors, for a base of 4 blocks and residuals [32]."""

    ending: ClassVar[str]

    @cached_property
    @abstractmethod
    def seeds(self) -> list[bytes]:
        """Well-formed files."""

    def write(self, random: Random, folder: Path) -> None:
        (folder / f"a{self.ending}").write_bytes(changed(random, random.choice(self.seeds)))

    def read(self, random: Random, folder: Path) -> None:
        path = str(folder / f"a{self.ending}")
        alone = VectorSource(path=path)
        told = VectorSource(path=path, site=Site.parse("resid_post.1"), layers="block_outputs")
        source = random.choice((alone, told, alone.model_copy(update={"site": told.site})))
        load_vector(source, tiny.WIDTH, tiny.BLOCKS, "a")


def _rows(count: int) -> torch.Tensor:
    return torch.arange(count * tiny.WIDTH, dtype=torch.float32).reshape(count, tiny.WIDTH) + 1


class Safetensors(_Vectors):
    """Files whose header is another JSON, or whose bytes are others."""

    name, ending = "safetensors", ".safetensors"

    @cached_property
    def seeds(self) -> list[bytes]:
        return [
            safetensors_bytes({"vector": _rows(1)[0]}, {"site": "resid_post.1", "width": "32"}),
            safetensors_bytes({f"layer_{layer}": _rows(4)[layer] for layer in range(4)}),
            safetensors_bytes({"a/1": _rows(5).bfloat16(), "b": torch.tensor(1), "c": _rows(1).half()}),
        ]

    def write(self, random: Random, folder: Path) -> None:
        content = random.choice(self.seeds)
        if random.random() < 0.6:
            content = _with_header(random, content)
        if random.random() < 0.6:
            content = changed(random, content)
        (folder / "a.safetensors").write_bytes(content)


def _with_header(random: Random, content: bytes) -> bytes:
    """Change the JSON that a safetensors file begins with, and tell its length as it is."""
    length = int.from_bytes(content[:8], "little")
    try:
        told = json.loads(content[8 : 8 + length])
    except ValueError:
        return changed(random, content)
    header = as_json(rewritten(random, told))
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


class Torch(_Vectors):
    """Files of torch.save: odd tensors in odd containers, pickles and archives with changed bytes."""

    name, ending = ".pt", ".pt"

    @cached_property
    def seeds(self) -> list[bytes]:
        return [
            _saved(_rows(1)[0]),
            _saved({f"layer_{n}": _rows(4)[n] for n in range(4)}),
            _saved([*_rows(5)]),
        ]

    def write(self, random: Random, folder: Path) -> None:
        content = _saved(_held(random)) if random.random() < 0.5 else random.choice(self.seeds)
        if random.random() < 0.4:
            content = _repacked(random, content)
        elif random.random() < 0.6:
            content = changed(random, content)
        (folder / "a.pt").write_bytes(content)


def _saved(held: object, **form: Any) -> bytes:  # noqa: ANN401
    file = io.BytesIO()
    torch.save(held, file, **form)
    return file.getvalue()


def _held(random: Random) -> object:
    row = _rows(1)[0]
    odd = random.choice(
        (
            lambda: row.to_sparse(),
            lambda: _rows(4).to_sparse_csr(),
            lambda: torch.empty(random.choice((32, 10**9)), device="meta"),
            lambda: torch.quantize_per_tensor(row, 0.1, 0, torch.qint8),
            lambda: torch.quantize_per_channel(_rows(4), torch.ones(4), torch.zeros(4), 0, torch.qint8),
            lambda: torch.nested.nested_tensor([row, row[:3]]),
            lambda: torch.nested.nested_tensor([row, row[:3]], layout=torch.jagged),
            lambda: row.to(
                random.choice((torch.int8, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn))
            ),
            lambda: torch.ones(1).expand(random.choice((32, 10**6))),
            lambda: _rows(1)[:, ::2],
            lambda: torch.zeros([random.choice((0, 1))] * random.choice((1, 3, 60))),
            lambda: torch.nn.Parameter(row),
            lambda: torch.tensor(random.choice((1, 3.0, True, 1j, float("nan")))),
            lambda: torch.full((32,), random.choice((float("nan"), 1e38, 0.0))).double() * 10,
            lambda: (row * 1j).conj().imag,
            lambda: row,
        )
    )()
    loop: list[Any] = [odd]
    loop.append(loop)
    wrap = random.choice(
        (
            lambda: odd,
            lambda: {"layer": random.choice((1, "x", -1, 10**30, 1.5, None)), "vector": odd},
            lambda: {random.choice((1, None, ("a",), "x/" * 40, "1")): odd, "1": _rows(1)[0]},
            lambda: [odd, _rows(1)[0]],
            lambda: [[odd] * 4] * 3,
            lambda: loop,
            lambda: {"site": random.choice(("resid_post.1", "resid_post.99999", "x", 3)), "vector": odd},
            lambda: {"layer_type": "x", "vector": odd},
        )
    )
    return wrap()


def _repacked(random: Random, content: bytes) -> bytes:
    """Change a member of the archive, or how it is packed, and leave the archive whole."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        names = old.namelist()
        chosen = random.choice([name for name in names if name.endswith("data.pkl")] + names)
        for name in names:
            held = old.read(name)
            if name != chosen:
                new.writestr(name, held)
            elif random.random() < 0.8:
                new.writestr(
                    name,
                    changed(random, held) if random.random() < 0.8 else held * 50,
                    random.choice((0, 0, 8)),
                )
    return made.getvalue()


class Arrays(_Vectors):
    """npz and npy, in files of one kind."""

    name, ending = "npz", ".npz"

    @cached_property
    def seeds(self) -> list[bytes]:
        made = []
        for held in (
            {"layer": 1, "vector": _rows(1)[0].numpy()},
            {"a": _rows(5).numpy(), "b": np.array("x")},
        ):
            for save in (np.savez, np.savez_compressed):
                file = io.BytesIO()
                save(file, **held)
                made.append(file.getvalue())
        return made

    def write(self, random: Random, folder: Path) -> None:
        content = random.choice(self.seeds)
        content = _repacked(random, content) if random.random() < 0.6 else changed(random, content)
        (folder / "a.npz").write_bytes(content)


class Gguf(_Vectors):
    """Control vectors with other numbers in their headers."""

    name, ending = "GGUF", ".gguf"

    @cached_property
    def seeds(self) -> list[bytes]:
        from tempfile import TemporaryDirectory

        from gguf import GGUFWriter

        with TemporaryDirectory() as folder:
            path = Path(folder, "a.gguf")
            writer = GGUFWriter(path, "controlvector")
            writer.add_string("controlvector.model_hint", "llama")
            writer.add_uint32("controlvector.layer_count", 3)
            writer.add_array("controlvector.layers", [1, 2, 3])
            for layer in range(1, 4):
                writer.add_tensor(f"direction.{layer}", _rows(4)[layer].numpy())
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            return [path.read_bytes()]


class _Folders(Kind):
    """Folders of several files, of which one or two are changed."""

    @cached_property
    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """A whole folder."""

    def write(self, random: Random, folder: Path) -> None:
        files = dict(self.files)
        for _ in range(random.choice((1, 1, 2))):
            self._change(random, files)
        for name, content in files.items():
            (folder / name).write_bytes(content)

    def _change(self, random: Random, files: dict[str, bytes]) -> None:
        # Configurations are small, and most of what a loader believes.
        small = [name for name in files if name.endswith("config.json")]
        name = random.choice((*small, *small, *small, *files))
        if random.random() < 0.03:
            del files[name]
        elif random.random() < 0.03:
            files[random.choice(("model.safetensors.index.json", "adapter_model.bin", "x.jinja"))] = files[
                name
            ]
        elif name.endswith(".json") and random.random() < 0.9:
            files[name] = as_json(rewritten(random, _json(files[name])))
        elif name.endswith(".safetensors") and random.random() < 0.7:
            files[name] = _with_header(random, files[name])
        elif name.endswith(".jinja"):
            files[name] = misspelled(random, files[name].decode("utf-8", "replace")).encode(
                "utf-8", "replace"
            )
        else:
            files[name] = changed(random, files[name])


def _json(content: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(content)
    except ValueError:
        return {}


def _read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@cache
def _base() -> tuple[dict[str, bytes], Any]:
    """Files of the tiny base, and the model."""
    from tempfile import TemporaryDirectory

    words = tiny.tokenizer()
    torch.manual_seed(0)
    model = tiny.model(words)
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        words.save_pretrained(folder)
        return _read_folder(Path(folder)), model


class Adapters(_Folders):
    """Adapters, mounted on the tiny base."""

    name = "adapters"

    @cached_property
    def files(self) -> dict[str, bytes]:
        from tempfile import TemporaryDirectory

        config = LoraConfig(
            task_type="CAUSAL_LM",
            init_lora_weights=False,
            r=4,
            lora_alpha=8,
            target_modules=["q_proj", "v_proj", "down_proj"],
            rank_pattern={"v_proj": 2},
        )
        with TemporaryDirectory() as folder:
            get_peft_model(copy.deepcopy(_base()[1]), config).save_pretrained(folder)
            found = _read_folder(Path(folder))
        found.pop("README.md", None)
        return found

    def write(self, random: Random, folder: Path) -> None:
        super().write(random, folder)
        weights = folder / "adapter_model.safetensors"
        if random.random() < 0.15 and weights.exists():
            # As PEFT wrote them once.
            weights.unlink()
            held = {f"base_model.model.model.layers.{n}.x.lora_A.weight": _held(random) for n in range(2)}
            content = _saved(random.choice((held, held, list(held), _held(random))))
            (folder / "adapter_model.bin").write_bytes(
                changed(random, content) if random.random() < 0.3 else content
            )

    def read(self, random: Random, folder: Path) -> None:
        counted_files(folder)
        model = copy.deepcopy(_base()[1])
        Carrier(model, blocks_of(model)).mount("a", lambda: read_adapter(folder, model))


class Bases(_Folders):
    """Bases, as the doctor looks at them and as they are loaded."""

    name = "bases"

    @cached_property
    def files(self) -> dict[str, bytes]:
        return _base()[0]

    def read(self, random: Random, folder: Path) -> None:
        Template.of(folder)
        model_files(folder)
        Skeleton(folder)
        if random.random() < _SELDOM:
            load_model(folder, "float32")


class Documents(Kind):
    """Results, with every view of them."""

    name = "results"

    @cached_property
    def documents(self) -> list[Any]:
        return [json.loads(run.model_dump_json()) for run in runs()]

    def write(self, random: Random, folder: Path) -> None:
        (folder / "results.json").write_bytes(_document(random, random.choice(self.documents)))

    def read(self, random: Random, folder: Path) -> None:
        results = Results.read(folder / "results.json")
        write_markdown(results, folder / "a.md")
        write_junit(results, folder / "a.xml")
        if random.random() < _SELDOM:
            write_html(results, folder / "a.html")
        shown = summary(results, 80, False, ascii_only=True)
        if any(not (letter.isprintable() or letter == "\n") for letter in shown):
            raise AssertionError("control characters are shown")
        Baseline.of(results)


def _document(random: Random, document: Any) -> bytes:  # noqa: ANN401
    content = as_json(rewritten(random, document))
    return changed(random, content) if random.random() < 0.2 else content


class Baselines(Documents):
    """Baselines, with runs compared with them."""

    name = "baselines"

    @cached_property
    def documents(self) -> list[Any]:
        return [json.loads(Baseline.of(run).text) for run in runs()]

    def read(self, random: Random, folder: Path) -> None:
        before = Baseline.read(folder / "results.json")
        for run in runs():
            compare("a", before, Baseline.of(run), ComparisonTerms(anyway=True))


KINDS: tuple[Kind, ...] = (
    *(Suites(), Probes(), Conversations(), Torch(), Safetensors(), Arrays(), Gguf()),
    *(Baselines(), Documents(), Adapters(), Bases()),
)
