"""A vector as a llama.cpp control vector: `llama-server --control-vector FILE`, with a scale of 1.

`direction.N` is added to the output of block N, to every token. Names and metadata are those of repeng:
https://github.com/vgel/repeng/blob/main/repeng/control.py
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from coherence.engine.model.gguf_header import CONTROL_VECTOR, DIRECTION, HINT
from coherence.errors import ArtefactError
from coherence.exports.gguf_writing import gguf_file
from coherence.vocabulary import Operation, Site, Tokens, VectorSource

_LAYERS = "controlvector.layer_count"


def write_control_vector(path: Path, family: str, blocks: int, by_depth: Mapping[int, Tensor]) -> None:
    """Write what is added at each depth, [width], for a base of so many blocks.

    `family` is what the base's config calls it. An ArtefactError names a depth that llama.cpp has none for.
    """
    for depth in by_depth:
        # The first block's own output is depth 1, and is passed over.
        if depth < 2:
            raise ArtefactError(
                f"acts at {Site.at_depth(depth)}; llama.cpp adds control vectors from resid_post.1 on"
            )
    with gguf_file(path, CONTROL_VECTOR) as file:
        file.add_string(HINT, family)
        file.add_uint32(_LAYERS, blocks)
        for depth, added in sorted(by_depth.items()):
            file.add_tensor(f"{DIRECTION}{depth - 1}", added.float().contiguous().numpy())


def require_plain(source: VectorSource) -> None:
    """Refuse a deployment that llama.cpp has not: it adds, and to all tokens."""
    if source.operation is not Operation.ADD:
        raise ArtefactError(f"is to {source.operation}; llama.cpp adds control vectors, and no more")
    if source.tokens is not Tokens.ALL:
        raise ArtefactError(f"acts on {source.tokens} tokens; llama.cpp adds control vectors to all tokens")
