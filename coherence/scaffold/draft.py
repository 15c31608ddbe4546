"""A draft: what is known of a persona and its artefacts, and the suite that follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from math import inf

import yaml
from jinja2 import Environment, StrictUndefined

from coherence.scaffold.questions import PROBES
from coherence.scaffold.words import described
from coherence.vocabulary import Band, Site

# Prompts of our own: as unlike each other, and most personas, as two can be.
_CONTROLS = {
    "librarian": "Answer as a quiet librarian who names a book for everything.",
    "auctioneer": "Answer as a loud auctioneer who counts rising bids.",
    "gardener": "Answer as a patient gardener who speaks of soil and seasons.",
}

BLOCKS = 32  # of most bases of some billion parameters: a guess where nothing is known
_MIDDLE = Site(BLOCKS // 2, "post")


@dataclass(frozen=True)
class Draft:
    """Everything that a first suite is made of; paths as the suite writes them.

    `site` is where the vector is, or is to be, added, and `told` whether its file says so; `blocks` is how
    many the base has. `stated` is the prompt as it is used, where it is more than the description. `heard`
    are words with the numbers of replies, under the prompt and without it, that they are in as stems; None
    where the base was not asked.
    """

    name: str
    description: str
    base: str
    adapter: str | None = None
    vector: str | None = None
    blocks: int = BLOCKS
    site: Site = _MIDDLE
    told: bool = True
    stated: str | None = None
    heard: Mapping[str, tuple[int, int]] | None = None

    @property
    def steered(self) -> bool:
        """Whether there is a vector: one that is given, or one that is extracted where nothing is given."""
        return self.vector is not None or self.prompts_alone

    @property
    def controls_layers(self) -> bool:
        """Whether the vector is a control vector, with a direction for each layer."""
        return self.vector is not None and self.vector.endswith(".gguf")

    @property
    def prompts_alone(self) -> bool:
        """Whether no artefact is given."""
        return self.adapter is None and self.vector is None

    @property
    def prompt(self) -> str:
        """What puts the persona into the model by words."""
        if self.stated:
            return self.stated
        if self.description.lower().startswith(("you are ", "you're ", "answer ", "reply ")):
            return self.description
        return f"Be this persona in everything that you say: {self.description}"

    @property
    def markers(self) -> dict[str, str]:
        """Words and why they are proposed: those that were heard, or else those of the description.

        None where the base was asked, and no word tells its prompted replies from its bare ones.
        """
        if self.heard is not None:
            return {
                word: f"in {under} of {len(PROBES)} replies under the prompt, {bare} without"
                for word, (under, bare) in self.heard.items()
            }
        named = dict.fromkeys(described(self.description), "in the description")
        return named or {self.name: "its name: the description has no content words"}

    @property
    def controls(self) -> dict[str, str]:
        """Two other personas and their prompts: a direction is a persona's only beside others'."""
        others = [(name, prompt) for name, prompt in _CONTROLS.items() if name != self.name]
        return dict(others[:2]) if self.steered else {}

    @property
    def regimes(self) -> list[str]:
        """Those that there are artefacts for."""
        return ["prompt", *(["adapter"] if self.adapter else []), *(["steering"] if self.steered else [])]

    @property
    def sites(self) -> Band:
        """The last quarter of the blocks but the last, and behind the vector's."""
        last = self.blocks - 1
        first = min(max(self.site.depth, 3 * self.blocks // 4), last)
        return Band.parse(f"resid_post.{first}..{max(first, last - 1)}")

    @cached_property
    def text(self) -> str:
        """The suite, with a `# REVIEW:` wherever its author is to look."""
        environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        environment.filters["quoted"] = quoted
        template = (files(__package__) / "suite.yaml.jinja").read_text(encoding="utf-8")
        return environment.from_string(template).render(draft=self, probes=PROBES) + "\n"


def quoted(text: str) -> str:
    """Write a text so that YAML reads the very same."""
    written: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=inf)
    return written.strip()
