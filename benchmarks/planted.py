"""The planted faults: releases of the reference model that are wrong in one known way, by a known amount."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from lora import Lora
from shipped import SUITES, Shipped, Values, base_weights, save_base, write_over
from work import ROOT

from coherence.plan import Condition, Steer
from coherence.vocabulary import Site

Spoil = Callable[[Shipped, float], None]

# Seconds on two cores to judge what is stored, or to measure first: one changed artefact, all that the suite
# of the poles needs, or everything.
STORED, FEW, POLES, ALL = 3.0, 12.0, 45.0, 130.0


@dataclass(frozen=True)
class Fault:
    """One way to be wrong. `sizes` get worse, and the last is the full size; `unit` is a format of a size.

    It is judged by `suites`.
    """

    name: str
    carrier: str
    sizes: tuple[float, ...]
    unit: str
    spoil: Spoil
    seconds: float = FEW
    suites: tuple[str, ...] = SUITES

    def label(self, size: float) -> str:
        """Say a size as a reader would."""
        return self.unit.format(size)


def mixed(name: str, other: str) -> Spoil:
    """Put a share of another adapter in the place of as much of one."""
    return lambda shipped, share: shipped.set_lora(name, shipped.lora(name).mixed(shipped.lora(other), share))


def changed(name: str, change: Callable[[Lora, float], Lora]) -> Spoil:
    """Change an adapter by so much."""
    return lambda shipped, size: shipped.set_lora(name, change(shipped.lora(name), size))


def _trained_on_the_opposite(shipped: Shipped, share: float) -> None:
    shipped.company["release"]["adapters"]["upbeat"] = str(ROOT / "fixtures" / "bad" / "upbeat-half-gloomy")


def _small_alpha(shipped: Shipped, alpha: float) -> None:
    lora = shipped.lora("counsel")
    shipped.set_lora("counsel", Lora({**lora.config, "lora_alpha": int(alpha)}, lora.factors))


def _swapped(kind: str) -> Spoil:
    def spoil(shipped: Shipped, _: float) -> None:
        named = shipped.company["release"][kind]
        named["pirate"], named["counsel"] = named["counsel"], named["pirate"]

    return spoil


def _turned(values: Values, share: float, random: np.random.Generator) -> Values:
    turned = random.permutation(values.size) < round(share * values.size)
    return np.where(turned, -values, values).astype(np.float32)


def replaced(values: Values, share: float, random: np.random.Generator) -> Values:
    """Put a share of a random vector, as long, in the place of as much of one."""
    other = random.standard_normal(values.size)
    other *= np.linalg.norm(values) / np.linalg.norm(other)
    return ((1 - share) * values + share * other).astype(np.float32)


def vector(change: Callable[[Values, float, np.random.Generator], Values]) -> Spoil:
    """Change the pirate's vector by so much."""

    def spoil(shipped: Shipped, size: float) -> None:
        values, site = shipped.vector("pirate")
        shipped.set_vector("pirate", change(values, size, np.random.default_rng(shipped.seed)), site)

    return spoil


def others_vector(shipped: Shipped, share: float) -> None:
    """Put a share of the counsel's vector in the place of as much of the pirate's."""
    (values, site), (other, _) = shipped.vector("pirate"), shipped.vector("counsel")
    other = other * np.linalg.norm(values) / np.linalg.norm(other)
    shipped.set_vector("pirate", (1 - share) * values + share * other, site)


def _moved(shipped: Shipped, blocks: float) -> None:
    values, site = shipped.vector("pirate")
    shipped.set_vector("pirate", values, Site(site.block + int(blocks), site.stream))


def _dose(shipped: Shipped, times: float) -> None:
    persona = shipped.persona("pirate")
    persona["dose"] = times * persona.get("dose", 0.5)


def poles_only(shipped: Shipped) -> None:
    """Judge by one suite, where everything must be measured anew: what others would say is not known."""
    shipped.suites = {name: suite for name, suite in shipped.suites.items() if name.startswith("poles")}


def _noisy_base(shipped: Shipped, share: float) -> None:
    poles_only(shipped)
    random = torch.Generator().manual_seed(shipped.seed)
    weights = {
        name: weight + share * weight.square().mean().sqrt() * torch.randn(weight.shape, generator=random)
        for name, weight in base_weights().items()
    }
    shipped.set_base(lambda folder: save_base(folder, weights))


_NO_TURN_FOR_THE_ASSISTANT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
)
_ANOTHER_FAMILYS = (
    "{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content }} [/INST]"
    "{% else %} {{ message.content }} {% endif %}{% endfor %}"
)


def _template(text: str) -> Spoil:
    def spoil(shipped: Shipped, _: float) -> None:
        poles_only(shipped)
        shipped.set_base(lambda folder: write_over(folder / "chat_template.jinja", text))

    return spoil


def _cut_prompt(shipped: Shipped, lost: float) -> None:
    prompt = shipped.persona("pirate")["prompt"]
    words, examples = prompt["text"].split(), prompt["examples"]
    prompt["text"] = " ".join(words[: max(1, round((1 - lost) * len(words)))])
    prompt["examples"] = examples[: round((1 - lost) * len(examples))]


def contradicted(name: str, other: str) -> Spoil:
    """Up to half: the other's instruction follows the persona's own. Beyond: it takes its place."""

    def spoil(shipped: Shipped, share: float) -> None:
        prompt, others = shipped.persona(name)["prompt"], shipped.persona(other)["prompt"]
        if share <= 0.5:
            prompt["text"] += " " + others["text"]
        else:
            shipped.persona(name)["prompt"] = others

    return spoil


def _steering_left_on(shipped: Shipped, times: float) -> None:
    shipped.left_on = Condition("", steers=(Steer("pirate", 0.5 * times),))


def _adapter_left_on(shipped: Shipped, weight: float) -> None:
    shipped.left_on = Condition("", adapters=(("pirate", weight),))


def _prompt_left_on(shipped: Shipped, _: float) -> None:
    shipped.company["neutral"] += " " + shipped.persona("pirate")["prompt"]["text"]


FAULTS = (
    Fault(
        "adapter of another persona", "pirate", (0.1, 0.25, 0.5, 1), "{:.0%}", mixed("pirate", "counsel")
    ),
    Fault(
        "adapter of the opposite pole", "upbeat", (0.1, 0.25, 0.5, 1), "{:.0%}", mixed("upbeat", "gloomy")
    ),
    Fault("adapter trained on the opposite pole", "upbeat", (0.5,), "{:.0%}", _trained_on_the_opposite),
    Fault("adapters of two personas swapped", "pirate, counsel", (1,), "both", _swapped("adapters")),
    Fault(
        "adapter too weak", "support", (0.25, 0.5, 0.75, 0.9, 1), "-{:.0%}",
        changed("support", lambda lora, lost: lora.scaled(1 - lost)),
    ),
    Fault(
        "adapter too strong", "counsel", (1.25, 1.5, 2), "x {:g}",
        changed("counsel", lambda lora, times: lora.scaled(times)),
    ),
    Fault("adapter with a small alpha", "counsel", (6, 3, 1), "{:g} of 12", _small_alpha),
    Fault(
        "adapter with its sign turned", "oncall", (0.5, 1), "x -{:g}",
        changed("oncall", lambda lora, times: lora.scaled(-times)),
    ),
    Fault(
        "adapter in few bits", "pirate", (4, 3, 2), "{:g} bits",
        changed("pirate", lambda lora, bits: lora.quantised(int(bits))),
    ),
    Fault(
        "adapter cut to a rank", "counsel", (4, 2, 1), "rank {:g}",
        changed("counsel", lambda lora, rank: lora.of_rank(int(rank))),
    ),
    Fault(
        "adapter without its last blocks", "oncall", (5, 10, 15, 20), "{:g} of 30",
        changed("oncall", lambda lora, blocks: lora.without(int(blocks))),
    ),
    Fault(
        "adapter without most projections", "support", (1,), "q, v only",
        changed("support", lambda lora, _: lora.only(("q_proj", "v_proj"))),
    ),
    Fault(
        "adapter under noise", "pirate", (0.3, 1, 3, 10), "{:.0%}",
        lambda shipped, share: shipped.set_lora("pirate", shipped.lora("pirate").noisy(share, shipped.seed)),
    ),
    Fault(
        "chimera of one parent", "pirate+counsel", (0.25, 0.5, 1), "{:.0%}",
        mixed("pirate-counsel", "pirate"),
    ),
    Fault("vector with signs turned", "pirate", (0.1, 0.25, 0.5, 1), "{:.0%}", vector(_turned)),
    Fault("vector replaced by a random one", "pirate", (0.25, 0.5, 0.9, 1), "{:.0%}", vector(replaced)),
    Fault("vector of another persona", "pirate", (0.25, 0.5, 1), "{:.0%}", others_vector),
    Fault("vectors of two personas swapped", "pirate, counsel", (1,), "both", _swapped("vectors")),
    Fault("vector some blocks too late", "pirate", (1, 2, 4, 8, 12), "{:g}", _moved),
    Fault("steering too strong", "pirate", (1.5, 2, 4), "x {:g}", _dose),
    Fault("steering too weak", "pirate", (0.5, 0.25, 0.1, 0), "x {:g}", _dose),
    Fault("prompt cut off", "pirate", (0.5, 0.75, 0.9), "-{:.0%}", _cut_prompt),
    Fault("prompt of another persona", "pirate", (0.5, 1), "{:.0%}", contradicted("pirate", "counsel")),
    Fault("prompt of the opposite pole", "upbeat", (0.5, 1), "{:.0%}", contradicted("upbeat", "gloomy")),
    Fault("steering left on when bare", "pirate", (0.25, 0.5, 1), "x {:g}", _steering_left_on),
    Fault("adapter left on when bare", "pirate", (0.25, 0.5, 1), "x {:g}", _adapter_left_on),
    Fault("prompt left in the neutral prompt", "pirate", (1,), "its text", _prompt_left_on, ALL),
    Fault("base under noise", "base", (0.05, 0.1, 0.2), "{:.0%}", _noisy_base, POLES),
    Fault("chat template of another family", "base", (1,), "[INST]", _template(_ANOTHER_FAMILYS), POLES),
    Fault(
        "chat template without the answer's start", "base", (1,), "ChatML",
        _template(_NO_TURN_FOR_THE_ASSISTANT), POLES,
    ),
)  # fmt: skip
