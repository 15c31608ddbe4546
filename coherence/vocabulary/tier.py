"""Tiers: which assertions a quick run judges, and which only a whole one."""

from typing import Literal, TypeAlias

Tier: TypeAlias = Literal["smoke", "full"]
