"""Find the decoder blocks of a model, whatever its family calls them."""

from torch import nn

from coherence.errors import ArtefactError


def find_blocks(model: nn.Module, count: int) -> nn.ModuleList:
    """Return the one ModuleList with `count` (num_hidden_layers) members outside vision towers.

    An ArtefactError says what was found when there is none, or more than one.
    """
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == count and "vision" not in name
    }
    outermost = [
        module for name, module in found.items() if not any(name.startswith(f"{other}.") for other in found)
    ]
    if len(outermost) != 1:
        listed = ", ".join(found) or "none"
        raise ArtefactError(
            f"cannot tell which modules of {type(model).__name__} are its {count} blocks: found {listed}; "
            f"expected exactly one list of {count} modules"
        )
    return outermost[0]
