"""The key-value cache: room is made ahead, so that a step of decoding writes its own tokens alone."""

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

# A larger stride wastes memory, a smaller one copies more often.
STRIDE = 64


class _RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """As `DynamicLayer`, which copies all that came before for every token; attention sees every token."""

    _room: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        """Append states [rows, heads, tokens, width]; return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        assert self.keys is not None
        assert self.values is not None
        held, end = self.keys.shape[2], self.keys.shape[2] + key_states.shape[2]
        if self._room is None or self._room[0].shape[2] < end:
            # Most caches are read once: only a second update shows that more will follow.
            ahead = STRIDE if held else 0
            self._room = (
                _with_room(self.keys, key_states, end + ahead),
                _with_room(self.values, value_states, end + ahead),
            )
        keys, values = self._room
        keys[:, :, held:end], values[:, :, held:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows, in this order; one may be taken several times."""
        super().batch_select_indices(indices)
        self._room = None

    def shift(self, by: Tensor) -> None:
        """Move the tokens of row i to the right by `by[i]`."""
        assert self.keys is not None
        assert self.values is not None
        self.keys, self.values = shifted(self.keys, by, dim=2), shifted(self.values, by, dim=2)
        self._room = None


def _with_room(held: Tensor, like: Tensor, length: int) -> Tensor:
    room = like.new_empty(*like.shape[:2], length, like.shape[3])
    room[:, :, : held.shape[2]] = held
    return room


def empty_cache() -> Cache:
    """Return a cache that grows with what is run; every layer keeps every token."""
    return Cache(layer_class_to_replicate=_RoomyLayer)


def select_shifted(cache: Cache, rows: Tensor, shift: Tensor) -> None:
    """Keep these rows, each moved to the right by `shift` [rows] tokens; its last ones fall off the end."""
    cache.batch_select_indices(rows)
    for layer in cache.layers:
        assert isinstance(layer, _RoomyLayer)
        layer.shift(shift)


def shifted(values: Tensor, shift: Tensor, dim: int) -> Tensor:
    """Move row i of values along `dim` to the right by `shift[i]`, zeros entering."""
    if not shift.any():
        return values
    length = values.shape[dim]
    source = torch.arange(length, device=values.device) - shift.to(values.device)[:, None]
    shape = [len(values), *[1] * (values.dim() - 1)]
    shape[dim] = length
    moved = values.gather(dim, source.clamp(min=0).view(shape).expand_as(values))
    return moved.masked_fill(source.view(shape) < 0, 0)
