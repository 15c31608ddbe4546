"""One adapter or vector at several doses of its own, which tell at which another form of it acts."""

from dataclasses import replace

from coherence.plan import Condition

DOSES = (0.25, 0.5, 2.0, 4.0)
LOOKED = 8
"""Probes whose replies are looked at under other doses and personas."""


def at_doses(condition: Condition) -> dict[float, Condition]:
    """Return a condition at other doses than its own; none where it is not one adapter's or vector's."""
    match condition.adapters, condition.steers:
        case (), (steer,):
            doses = {dose: replace(steer, dose=dose * steer.dose) for dose in DOSES}
            return {dose: replace(condition, steers=(one,)) for dose, one in doses.items()}
        case ((name, _),), ():
            return {dose: replace(condition, adapters=((name, dose),)) for dose in DOSES}
    return {}
