"""What a model says by plain calls and plain hooks, one row at a time: what the engine is held against."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Edit = Callable[[int, Tensor], Tensor]
"""Returns what takes the place of residuals [1, tokens, width] at a depth; 0 is before the first block."""


def apart(found: Any, expected: Tensor) -> float:
    """Return the largest error, relative to the largest value that is expected."""
    found = torch.as_tensor(found)
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def tokens(words: Any, text: str) -> list[int]:
    """Tokens of a text as it stands."""
    return list(words(text, add_special_tokens=False)["input_ids"])


def prompt(words: Any, neutral: str, question: str) -> list[int]:
    """Tokens of a system and a user turn, and of what opens the reply, by the tokenizer's own template."""
    turns = [{"role": "system", "content": neutral}, {"role": "user", "content": question}]
    return tokens(words, str(words.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)))


def between(words: Any, question: str) -> list[int]:
    """Tokens of what comes between two replies of a conversation in ChatML."""
    return tokens(words, f"<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")


@contextmanager
def hooked(blocks: nn.Module, edit: Edit) -> Iterator[list[Tensor]]:
    """Edit the residuals before the first block and after each; yield those of the last pass, by depth."""
    seen: list[Tensor] = []

    def edited(hidden: Tensor) -> Tensor:
        seen.append(edit(len(seen), hidden))
        return seen[-1]

    def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
        seen.clear()
        if args:
            return (edited(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": edited(kwargs["hidden_states"])}

    def after(module: nn.Module, args: object, output: Any) -> Any:
        return (edited(output[0]), *output[1:]) if isinstance(output, tuple) else edited(output)

    first, *_ = blocks.children()
    handles = [first.register_forward_pre_hook(before, with_kwargs=True)]
    handles += [block.register_forward_hook(after) for block in blocks.children()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
