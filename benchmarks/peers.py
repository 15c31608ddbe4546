"""The peers, each a process of its own that keeps its model from round to round."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rounds import Variant

HERE = Path(__file__).resolve().parent
PEERS = ("steering-vectors", "repeng")


@contextmanager
def peers(
    base: Path, conditions: Sequence[Sequence[str]], blocks: Sequence[int]
) -> Iterator[dict[str, Variant]]:
    """Start the peers, made on demand; each variant gives means [conditions, sites, width]."""
    subprocess.run(["bash", str(HERE / "peers.sh")], check=True)
    with TemporaryDirectory() as folder:
        out = str(Path(folder) / "means.npz")
        asked = json.dumps({"conditions": conditions, "blocks": blocks, "out": out})
        workers = {peer: _started(peer, base) for peer in PEERS}
        try:
            yield {peer: partial(_ask, peer, worker, asked, out) for peer, worker in workers.items()}
        finally:
            for worker in workers.values():
                worker.communicate()


def _started(peer: str, base: Path) -> subprocess.Popen[str]:
    python = HERE / ".venv-peers" / "bin" / "python"
    command = [str(python), str(HERE / "peers_worker.py"), peer, str(base)]
    quiet = os.environ | {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet)


def _ask(peer: str, worker: subprocess.Popen[str], asked: str, out: str) -> tuple[float, np.ndarray]:
    assert worker.stdout is not None
    print(asked, file=worker.stdin, flush=True)
    answer = worker.stdout.readline()
    if not answer:
        raise SystemExit(f"FAILED: {peer} ended without an answer; its message is above")
    return json.loads(answer)["seconds"], np.load(out)["means"]
