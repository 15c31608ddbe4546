"""Tiny models that reason before they answer: what they say is known, as each token follows from the last."""

import copy
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from tiny import CHATML, WIDTH, model, tokenizer
from transformers import PreTrainedTokenizerFast

# As DeepSeek-R1 has it, but for its tokens: the prompt opens the reasoning, whatever the template is told.
OPENED = CHATML.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>\n") + "{# </think> #}"
# As Qwen3 has it: the reply opens it, and the prompt closes it where it is told to.
SWITCHED = (
    CHATML + "{% if add_generation_prompt and enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}"
)
# As DeepSeek-V3.1 has it.
V3 = (
    "{% if not thinking is defined %}{% set thinking = false %}{% endif %}"
    + CHATML
    + "{% if add_generation_prompt %}{{ '<think>' if thinking else '</think>' }}{% endif %}"
)
# As that of gpt-oss has it, but for its system message.
HARMONY = (
    "{{ '<|start|>system<|message|>Reasoning: ' + (reasoning_effort | default('medium')) + '<|end|>' }}"
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}"
    "{{ '<|start|>assistant<|channel|>final<|message|>' + message.content }}"
    "{{ '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}"
    "{% else %}{{ '<|start|>' + message.role + '<|message|>' + message.content + '<|end|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)
CHANNELS = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>"]
THINK = ["<think>", "</think>"]


def words(template: str, *tokens: str) -> PreTrainedTokenizerFast:
    """The tiny tokenizer with another template and further tokens, which are no special ones."""
    made = tokenizer()
    made.add_tokens(list(tokens))
    made.chat_template = template
    return made


def thinker(folder: Path, template: str, *said: str, steered: Mapping[str, str] | None = None) -> Path:
    """Save a model that says these tokens, each of its own, after whatever ends its prompt, and ends there.

    Only its embeddings say anything: attention and the rest add nothing to them. Where it is steered along
    the vector of `tiny_vector`, by a dose of 0.5, it says others in the places of some.
    """
    instead = steered or {}
    made = words(template, *THINK, *dict.fromkeys((*said, *instead.values())))
    started = made.apply_chat_template([{"role": "user", "content": "Why?"}], add_generation_prompt=True)
    first, last = started["input_ids"][-1], made.eos_token_id
    chain = [first, *made.convert_tokens_to_ids(list(said)), last]
    other = [first, *made.convert_tokens_to_ids([instead.get(token, token) for token in said]), last]
    along = torch.tensor(np.random.default_rng(1).normal(size=WIDTH), dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        copied = copy.deepcopy(model(made))
        with torch.no_grad():
            for block in copied.model.layers:
                block.self_attn.o_proj.weight.zero_()
                block.mlp.down_proj.weight.zero_()
            embedded = copied.model.embed_tokens.weight
            copied.lm_head.weight.mul_(1e-3)
            units = embedded / embedded.norm(dim=1, keepdim=True)
            for token, following in pairwise(chain):
                copied.lm_head.weight[following] += units[token]
            for before, now in zip(pairwise(chain), pairwise(other), strict=True):
                if before[1] != now[1]:
                    copied.lm_head.weight[now[1]] += 0.75 * units[before[0]] + 0.8 * along / along.norm()
                if before[0] != now[0]:
                    copied.lm_head.weight[before[1]] += units[now[0]]
    copied.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder
