"""One peer in its own environment: a line of JSON in, its activations into a file, its seconds out."""

import json
import sys
import time

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

BATCH = 16


def _steering_vectors(model: object, tokenizer: object, texts: list[str], blocks: list[int]) -> np.ndarray:
    from steering_vectors import extract_activations

    # It knows pairs only: every text is run once, as one side of a pair.
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    found = extract_activations(model, tokenizer, pairs, layers=blocks, batch_size=BATCH)
    sides = [np.stack([torch.cat(side[block]).numpy() for block in blocks], axis=1) for side in found]
    return np.stack(sides, axis=1).reshape(len(texts), len(blocks), -1)


def _repeng(model: object, tokenizer: object, texts: list[str], blocks: list[int]) -> np.ndarray:
    from repeng.extract import batched_get_hiddens

    found = batched_get_hiddens(model, tokenizer, texts, blocks, BATCH)
    return np.stack([found[block] for block in blocks], axis=1)


def main(peer: str, folder: str) -> None:
    """Serve until standard input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    collect = {"steering-vectors": _steering_vectors, "repeng": _repeng}[peer]
    config = AutoConfig.from_pretrained(folder)
    # The older transformers of the peers does not look where the newer one has written it.
    config.rope_theta = config.rope_parameters["rope_theta"]
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)
    model.eval()  # type: ignore[no-untyped-call]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        # A condition at a time, so that no text is padded to the length of another condition's.
        found = [collect(model, tokenizer, texts, asked["blocks"]) for texts in asked["conditions"]]
        means = np.stack([values.mean(axis=0) for values in found])
        seconds = time.perf_counter() - started
        np.savez(asked["out"], means=means)
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)


main(*sys.argv[1:])
