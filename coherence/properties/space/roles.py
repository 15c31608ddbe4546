"""Roles: prompts of whoever else a model can be, among whom personas have their places."""

from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, Tag

from coherence.errors import shortened
from coherence.plan import Scene
from coherence.vocabulary import Prompt
from coherence.vocabulary.persona import WrittenPrompt

SHIPPED = 40
LEAST_ROLES = 4  # two in either half of them


@cache
def shipped() -> tuple[str, ...]:
    """Texts of forty roles, in the order of the alphabet: their first few are of no one kind."""
    return tuple((files(__package__) / "roles.txt").read_text(encoding="utf-8").splitlines())


def _enough_and_different(roles: tuple[Prompt, ...]) -> tuple[Prompt, ...]:
    # Here and not by its length, which would be complained of as well where one of enough is no prompt.
    if len(roles) < LEAST_ROLES:
        raise ValueError(f"found {len(roles)}; expected at least {LEAST_ROLES} roles")
    # What is spaced otherwise is the same role, and would have its place count twice.
    times = Counter(" ".join(prompt.text.split()) for prompt in roles)
    repeated = [text for text, often in times.items() if often > 1]
    if repeated:
        raise ValueError(f"the role {shortened(repeated[0])} is there more than once; expected each once")
    return roles


def _form(written: object) -> str:
    return "each" if isinstance(written, (list, tuple)) else "number"


Roles = Annotated[
    Annotated[int, Field(ge=LEAST_ROLES, le=SHIPPED), Tag("number")]
    | Annotated[
        tuple[WrittenPrompt, ...],
        Field(json_schema_extra={"minItems": LEAST_ROLES}),
        AfterValidator(_enough_and_different),
        Tag("each"),
    ],
    Discriminator(_form),
    Field(
        description="Prompts of other roles, at least four: personas are placed among them. A number takes "
        "as many of the forty that are shipped.",
    ),
]


def prompts_of(roles: int | tuple[Prompt, ...], scene: Scene) -> tuple[Prompt, ...]:
    """List the roles' prompts; those that are shipped are system turns where the suite has one."""
    if not isinstance(roles, int):
        return roles
    role = "user" if scene.neutral is None else "system"
    return tuple(Prompt(text=text, role=role) for text in shipped()[:roles])
