"""A base without its weights: what adapters and vectors must fit, before anything is loaded."""

from pathlib import Path
from typing import Any

from coherence.engine.artefacts.digests import counted_files
from coherence.engine.artefacts.vectors import Vector, load_vector
from coherence.engine.interventions.carrier import Carrier
from coherence.engine.model.adapter_reader import read_adapter
from coherence.engine.model.blocks import blocks_of
from coherence.engine.model.checkpoints import check_checkpoint
from coherence.engine.model.folder import is_checkpoint
from coherence.engine.model.loading import load_skeleton, load_tokenizer, room
from coherence.vocabulary import VectorSource


class Skeleton:
    """The model of a folder on the meta device, and the number of its parameters.

    An ArtefactError says why the folder is none.
    """

    def __init__(self, folder: Path) -> None:
        counted_files(folder)
        self.folder = folder
        model = load_skeleton(folder)
        self.parameters = sum(weight.numel() for weight in model.parameters())
        text_config: Any = model.config.get_text_config()
        self.width: int = text_config.hidden_size
        self.blocks: int = text_config.num_hidden_layers
        self.family: str = text_config.model_type
        matrices = [one for one in blocks_of(model).parameters() if one.ndim > 1]
        self._in_blocks = sum(one.numel() for one in matrices)
        self._in_head: int = text_config.vocab_size * self.width
        self._model = model
        self._carrier = Carrier(model, blocks_of(model))

    def flops(self, tokens: float, said: float) -> float:
        """Count operations, 2 per weight and token; the head is needed for tokens that are said.

        Attention is left out, and of a mixture of experts all are counted.
        """
        return 2.0 * (self._in_blocks * tokens + self._in_head * said)

    def room(self, dtype: str) -> str:
        """Return the devices that the weights fit on; an ArtefactError when there are none."""
        return room(self.folder, dtype)

    def carry(self, folder: Path, name: str) -> str:
        """Mount an adapter or a checkpoint, all of its checks included; an ArtefactError says why not.

        Return a remark on what is unusual of it, empty where nothing is.
        """
        counted_files(folder)
        if is_checkpoint(folder):
            weights = self._carrier.grafts.weights
            return check_checkpoint(folder, self._model, load_tokenizer(self.folder), weights)
        return self._carrier.mount(name, lambda: read_adapter(folder, self._model))

    def vector(self, source: VectorSource, name: str) -> Vector:
        """Read a vector file; an ArtefactError says why it cannot be used."""
        return load_vector(source, self.width, self.blocks, name)
