"""Find the decoder blocks of a model, whatever its family calls them."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from transformers import PreTrainedModel

from coherence.errors import ArtefactError


def blocks_of(model: PreTrainedModel) -> nn.ModuleList:
    """Return the decoder blocks of a causal LM, or of the one in a wrapper; an ArtefactError as below."""
    decoder: nn.Module = model.get_decoder()  # type: ignore[no-untyped-call]
    return find_blocks(decoder, model.config.get_text_config().num_hidden_layers)


def find_blocks(model: nn.Module, count: int) -> nn.ModuleList:
    """Return the one ModuleList with `count` (num_hidden_layers) members outside vision towers.

    An ArtefactError says what was found when there is none, or more than one.
    """
    lists = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count and "vision" not in name
    }
    outermost = [
        module for name, module in lists.items() if not any(name.startswith(f"{other}.") for other in lists)
    ]
    if len(outermost) != 1:
        listed = ", ".join(lists) or "none"
        raise ArtefactError(
            f"cannot tell which modules of {type(model).__name__} are its {count} blocks: found {listed}; "
            f"expected exactly one list of {count} modules"
        )
    return outermost[0]


@contextmanager
def truncated(model: nn.Module, blocks: nn.ModuleList, count: int) -> Iterator[None]:
    """Let the model end after its first `count` blocks; what it returns then is of no use, what taps read is.

    Slicing the list is what every family understands; most read `config.num_hidden_layers` only once.
    """
    if count == len(blocks):
        yield
        return
    parent, name = next(
        (module, name)
        for module in model.modules()
        for name, child in module.named_children()
        if child is blocks
    )
    setattr(parent, name, blocks[:count])
    try:
        yield
    finally:
        setattr(parent, name, blocks)
