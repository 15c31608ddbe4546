"""Changes: residuals that are put in the place of a prompt's own, and all those that a factorial looks at."""

from dataclasses import dataclass
from typing import Literal

from coherence.vocabulary import Band, Site

Sites = tuple[Site, ...]
Weights = tuple[float, float, float, float]  # of BB, XB, BY and XY

ADDITIVE: Weights = (-1, 1, 1, 0)
WITHOUT_X: Weights = (1, -1, 0, 1)
TOGETHER: Weights = (0, 0, 0, 1)


@dataclass(frozen=True)
class Injection:
    """A weighted sum of the four prompts' residuals, put in the place of a prompt's own; at no sites none."""

    of: Literal["XY", "BY"]
    weights: Weights = ADDITIVE
    sites: Sites = ()


CLEAN, BARE = Injection("XY"), Injection("BY")


@dataclass(frozen=True)
class Injections:
    """What is changed: at the `tested` sites of a band, and in the bare prompt at sets of sites."""

    band: Band
    tested: Sites
    injected: tuple[Sites, ...]

    @property
    def additive(self) -> list[Injection]:
        """The sum of what persona and task do alone in the place of what they do together, at each site."""
        return [Injection("XY", ADDITIVE, (site,)) for site in self.tested]

    @property
    def without_persona(self) -> list[Injection]:
        """The same prompt less what the persona does alone, at each site."""
        return [Injection("XY", WITHOUT_X, (site,)) for site in self.tested]

    @property
    def self_patch(self) -> Injection:
        """The prompt's own residuals, put back into itself: whatever this costs is rounding."""
        return Injection("XY", TOGETHER, self.band.sites)

    @property
    def injections(self) -> list[Injection]:
        """The sum, put into the prompt without the persona's text."""
        return [Injection("BY", ADDITIVE, sites) for sites in self.injected]

    @property
    def oracles(self) -> list[Injection]:
        """XY's own residuals, put in where the sum is injected: what there is to recover at these sites."""
        return [Injection("BY", TOGETHER, sites) for sites in self.injected]

    @property
    def spoken(self) -> dict[str, Injection]:
        """Those that replies are drawn under, on the whole band at once."""
        return {
            "clean": CLEAN,
            "additive": Injection("XY", ADDITIVE, self.band.sites),
            "without X's part": Injection("XY", WITHOUT_X, self.band.sites),
            "injected": Injection("BY", ADDITIVE, self.band.sites),
            "oracle injected": Injection("BY", TOGETHER, self.band.sites),
            "without X's text": BARE,
        }
