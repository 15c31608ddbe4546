"""Training an adapter: PEFT on the frozen base, on the tokens of replies alone, by plain PyTorch."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from coherence.engine.executors.progress import SILENT, Progress
from coherence.engine.model.chat import Chat
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import Condition
from coherence.training.pairs import Pair
from coherence.vocabulary import Templating
from coherence.vocabulary.templating import AS_IT_IS

Example = tuple[list[int], list[int]]
"""Token ids of a prompt, and of the reply that is learned."""

_IGNORED = -100  # labels that transformers leaves out of a loss


def lora(rank: int = 8, alpha: int | None = None) -> LoraConfig:
    """Configure LoRA on every linear layer of the blocks; alpha is twice the rank by default."""
    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


@dataclass(frozen=True)
class Recipe:
    """How an adapter is trained: AdamW, its rate rising over the first tenth of the steps and then falling.

    The seed draws the first weights and the order of the replies.
    """

    config: PeftConfig = field(default_factory=lora)
    epochs: int = 4
    batch: int = 8
    rate: float = 1e-3
    seed: int = 0

    def steps(self, replies: int) -> int:
        """How many updates of the weights so many replies come to."""
        return self.epochs * -(-replies // self.batch)


def encoded(
    pairs: Iterable[Pair],
    bare: Condition,
    tokenizer: PreTrainedTokenizerBase,
    templating: Templating = AS_IT_IS,
) -> list[Example]:
    """Encode what the gate asks, without the persona's prompt, and the reply with the token that ends it.

    That token is what the chat template ends an answer with, where it says so, and else the tokenizer's own.
    """
    chat = Chat(tokenizer, templating)
    end = tokenizer.eos_token_id if chat.ends.answer is None else chat.ends.answer
    closing = [] if end is None else [end]
    return [
        (
            chat.encode(bare, pair.probe),
            [*tokenizer(pair.reply, add_special_tokens=False)["input_ids"], *closing],
        )
        for pair in pairs
    ]


def mounted(model: PreTrainedModel, recipe: Recipe) -> PeftModel:
    """Put a new adapter on a base, whose own weights are frozen, drawn by torch's generator as it stands.

    An ArtefactError for a quantized base: training on one takes more than this does.
    """
    if getattr(model, "is_quantized", False):
        raise ArtefactError(
            "the base is quantized, and is not trained on here; expected the base that it was made from, or "
            "a trainer that prepares it, such as TRL's"
        )
    adapted: PeftModel = get_peft_model(model, recipe.config)
    return adapted


def trained(
    model: PeftModel, data: Sequence[Example], recipe: Recipe, progress: Progress = SILENT
) -> Iterator[float]:
    """Train a mounted adapter, and yield the mean loss (nats per token of a reply) after each epoch.

    A MeasurementError when the loss is no number any more.
    """
    order, shuffled = random.Random(recipe.seed), list(data)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.rate)
    steps = recipe.steps(len(shuffled))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps, pct_start=0.1)
    done = 0
    for _ in range(recipe.epochs):
        order.shuffle(shuffled)
        losses = []
        for start in range(0, len(shuffled), recipe.batch):
            loss = model(**_padded(shuffled[start : start + recipe.batch], model.device)).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            losses.append(loss.item())
            progress("training steps", done := done + 1, steps)
        mean = sum(losses) / len(losses)
        if not mean < float("inf"):
            raise MeasurementError(f"the loss is {mean} after {done} of {steps} steps; expected a lower rate")
        yield mean


def save(model: PeftModel, folder: Path, base: str, revision: str | None = None) -> None:
    """Save the adapter's weights in bfloat16, under the name `base`, and not under a path of this machine.

    `revision` is the commit that a hub's base is at.
    """
    loaded: Any = model
    config = loaded.peft_config["default"]
    config.base_model_name_or_path, config.revision = base, revision
    # PEFT has them as a set, whose order is another in every process: a seed would not give the same files.
    if isinstance(targets := getattr(config, "target_modules", None), set):
        config.target_modules = sorted(targets)
    loaded.to(torch.bfloat16).save_pretrained(folder, save_embedding_layers=False)
    # A form of a model card, with nothing filled in.
    (folder / "README.md").unlink(missing_ok=True)


def _padded(batch: Sequence[Example], device: torch.device) -> dict[str, torch.Tensor]:
    """Put examples side by side, padded on the right, [rows, tokens]; only replies count in the loss."""
    width = max(len(prompt) + len(reply) for prompt, reply in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    labels = torch.full((len(batch), width), _IGNORED)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for row, (prompt, reply) in enumerate(batch):
        end = len(prompt) + len(reply)
        ids[row, :end] = torch.tensor(prompt + reply)
        labels[row, len(prompt) : end] = torch.tensor(reply)
        mask[row, :end] = 1
    padded = {"input_ids": ids, "labels": labels, "attention_mask": mask}
    return {name: values.to(device) for name, values in padded.items()}
