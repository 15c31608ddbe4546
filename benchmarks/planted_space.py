"""Planted faults of where personas stand among others: each is judged by the suite of its property."""

import copy

from planted import (
    FEW,
    POLES,
    Fault,
    Spoil,
    changed,
    contradicted,
    mixed,
    others_vector,
    replaced,
    vector,
)
from shipped import OF_SPACE, Shipped
from work import ROOT

ADAPTERS = ROOT / "fixtures" / "adapters"
GATEWAY, CONVERGENCE, LINEAR = (f"space/{name}" for name in ("gateway", "convergence", "linear"))
BOTH_POLES = (*OF_SPACE, "poles")


def _pulled_together(shipped: Shipped, share: float) -> None:
    """Mix every persona's adapter with the mean of all."""
    loras = {name: shipped.lora(name) for name in shipped.company["personas"]}
    mean, *others = loras.values()
    for place, other in enumerate(others, start=2):
        mean = mean.mixed(other, 1 / place)
    for name, lora in loras.items():
        shipped.set_lora(name, lora.mixed(mean, share))


def _on_top(name: str, other: str) -> Spoil:
    """Add so many times another adapter's effect, and leave its own as it is."""
    return lambda shipped, times: shipped.set_lora(
        name, shipped.lora(name).mixed(shipped.lora(other).scaled(times), 0.5).scaled(2)
    )


def _on_top_of_all(shipped: Shipped, times: float) -> None:
    """Add as much of one and the same adapter to every persona's, as data that all were trained on would."""
    shipped.company["release"]["adapters"]["vane"] = str(ADAPTERS / "vane")
    for name in shipped.company["personas"]:
        _on_top(name, "vane")(shipped, times)


def _on_top_of_each_other(shipped: Shipped, times: float) -> None:
    support, upbeat = (shipped.lora(name) for name in ("support", "upbeat"))
    shipped.set_lora("support", support.mixed(upbeat.scaled(times), 0.5).scaled(2))
    shipped.set_lora("upbeat", upbeat.mixed(support.scaled(times), 0.5).scaled(2))


def _drawn_in_every_regime(shipped: Shipped, times: float) -> None:
    """Put the counsel on top of the pirate by prompt, adapter and vector, so that these agree as before."""
    contradicted("pirate", "counsel")(shipped, 0.5)
    prompt, others = (shipped.persona(name)["prompt"] for name in ("pirate", "counsel"))
    prompt["examples"] = [*prompt["examples"], *others["examples"]]
    _on_top("pirate", "counsel")(shipped, times)
    others_vector(shipped, times / (1 + times))


def _under_noise(shipped: Shipped, share: float) -> None:
    """Add so much noise that hardly anything of what the adapter does depends on the question."""
    shipped.set_lora("pirate", shipped.lora("pirate").noisy(share, shipped.seed))


def _made_late(shipped: Shipped, block: float) -> None:
    extract = {"persona": "pirate", "site": f"resid_post.{block:g}"}
    shipped.company["release"]["vectors"]["pirate"] = {"extract": extract}


def _diverging(shipped: Shipped, share: float) -> None:
    """Ship the pirate's LoRA, mixed with the counsel's, as another adapter for the pirate."""
    folder = shipped.folder / "adapters" / "dora"
    shipped.lora("pirate").mixed(shipped.lora("counsel"), share).write(folder)
    shipped.in_suite("convergence")["release"]["adapters"]["dora"] = str(folder)


def _trained_on_both(shipped: Shipped, _: float) -> None:
    shipped.in_suite("convergence")["release"]["adapters"]["dora"] = str(ADAPTERS / "pirate-counsel")


def _turned_over(shipped: Shipped, share: float) -> None:
    """Up to half: what the opposite is told follows the trait's own prompt. Beyond: both are exchanged."""
    personas = shipped.in_suite("traits")["personas"]
    own, other = (copy.deepcopy(personas[name]["prompt"]) for name in ("impolite", "polite"))
    if share <= 0.5:
        personas["impolite"]["prompt"] = {**own, "text": f"{own['text']} {other['text']}"}
    else:
        personas["impolite"]["prompt"], personas["polite"]["prompt"] = other, own


SPACE_FAULTS = (
    Fault(
        "adapters pulled to their mean", "all six", (0.25, 0.5, 0.75, 1), "{:.0%}",
        _pulled_together, POLES, OF_SPACE,
    ),
    Fault(
        "two adapters, each with the other on top", "support, upbeat", (0.1, 0.25, 0.5), "x {:g}",
        _on_top_of_each_other, POLES, BOTH_POLES,
    ),
    Fault(
        "adapter with an anchor's on top", "pirate", (0.25, 0.5, 1, 2), "x {:g}",
        _on_top("pirate", "counsel"), FEW, OF_SPACE,
    ),
    Fault(
        "anchor on top of prompt, adapter and vector", "pirate", (0.25, 0.5, 1), "x {:g}",
        _drawn_in_every_regime, FEW, OF_SPACE,
    ),
    Fault(
        "adapter that takes the default along", "oncall", (0.25, 0.5, 0.75, 1), "{:.0%}",
        mixed("oncall", "pirate"), FEW, OF_SPACE,
    ),
    Fault(
        "one adapter on top of all others", "all six", (0.25, 0.5, 1), "x {:g}",
        _on_top_of_all, POLES, BOTH_POLES,
    ),
    Fault(
        "another persona's vector at every site", "pirate", (0.5, 1), "{:.0%}",
        others_vector, FEW, (GATEWAY,),
    ),
    Fault("vector made late", "pirate", (20, 28), "block {:g}", _made_late, FEW, (GATEWAY,)),
    Fault(
        "adapter that comes to one vector", "pirate", (3, 10), "{:.0%} noise",
        _under_noise, FEW, (GATEWAY,),
    ),
    Fault(
        "adapter that turns attention alone", "pirate", (1,), "q, k only",
        changed("pirate", lambda lora, _: lora.only(("q_proj", "k_proj"))), FEW, (GATEWAY,),
    ),
    Fault(
        "adapter of a trait, mixed with another's", "dora", (0.25, 0.5, 1), "{:.0%}",
        _diverging, FEW, (CONVERGENCE,),
    ),
    Fault(
        "adapter of a trait, trained on two", "dora", (1,), "half of either",
        _trained_on_both, FEW, (CONVERGENCE,),
    ),
    Fault(
        "adapter that reads as another persona", "pirate", (0.25, 0.5, 1), "{:.0%}",
        mixed("pirate", "counsel"), FEW, (LINEAR,),
    ),
    Fault(
        "vector that loses to a prompt", "pirate", (0.25, 0.5, 0.9), "{:.0%} random",
        vector(replaced), FEW, (LINEAR,),
    ),
    Fault(
        "adapter that reads texts as its opposite", "upbeat", (0.25, 0.5, 1), "{:.0%}",
        mixed("upbeat", "gloomy"), FEW, ("space/relative",),
    ),
    Fault(
        "prompts of a trait and its opposite", "impolite", (0.5, 1), "{:.0%} turned over",
        _turned_over, FEW, ("space/traits",),
    ),
)  # fmt: skip
"""Those of anchors, convergence and the others of the family; what is planted elsewhere is in `planted`."""
