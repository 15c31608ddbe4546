"""Factorial: persona and task add up inside the model, and whether a cached vector replaces the prompt."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.composition.effects import FactorialEffects
from coherence.properties.composition.grid import Grid, GridSample
from coherence.properties.composition.injections import BARE, Injection, Injections
from coherence.properties.control import NOTHING
from coherence.properties.criterion import held
from coherence.properties.eligibility import LEAST_CLUSTERS, cast
from coherence.properties.highest import Tail, at_worst
from coherence.properties.lengths import by_length
from coherence.properties.markers import Replies
from coherence.properties.property import Property
from coherence.properties.ranges import COSINE, RECOVERED, SIZE
from coherence.statistics.interaction import largest
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import mean_cosine, positive_mean
from coherence.vocabulary import Band, Criterion, Figures, Marker, Position, Probe, Prompt, Regime, Site
from coherence.vocabulary.evidence import Sampled, number
from coherence.vocabulary.persona import WrittenPrompt
from coherence.vocabulary.probe import WrittenProbe

LEAST_GAP = 0.01  # nats; nearer to the reply without its text than this, a persona leaves nothing to recover
ROUNDING = 0.1  # of the largest KL; the model's own residuals put back may cost no more


@dataclass(frozen=True)
class FactorialCase(Case[GridSample]):
    """One persona and its tasks at one position; the tasks are the unit of inference."""

    persona: str
    slug: str
    spec: "Factorial"
    grid: Grid
    changes: Injections
    regimes: tuple[Regime, ...] = (Regime.PROMPT,)

    @property
    def units(self) -> tuple[Sampled, ...]:
        """Its own tasks, or the suite's probes."""
        return (self._of,)

    def needs(self) -> Iterable[Measurement]:
        """Read the four prompts, and change residuals in the ways that decide."""
        return chain.from_iterable(self.steps())

    def steps(self) -> Iterator[Iterable[Measurement]]:
        """Read directions first, then put the sum in the place of the prompt, and inject it last."""
        yield [reading for task in self.grid.tasks for reading in self.grid.readings(task)]
        yield self._divergences([*self.changes.additive, self.changes.self_patch])
        if self.spec.max_recovered is not None or self.spec.min_recovered is not None:
            yield self._divergences([BARE, *self.changes.injections])

    def needs_for_figures(self) -> Iterable[Measurement]:
        """Change them in every other way, and draw replies to look at."""
        changes = self.changes
        every = (*changes.without_persona, BARE, *changes.injections, *changes.oracles)
        replies = (
            self.grid.reply(task, change) for change in self._spoken.values() for task in self.grid.tasks
        )
        return [*self._divergences(every), *replies]

    def sample(self, record: Record, seed: int) -> GridSample:
        """Take the residuals of every cell, and what changes cost."""
        return GridSample(self.grid, self.changes, record)

    def criteria(self, sample: GridSample) -> Iterator[Criterion]:
        """Judge the sum's direction and its effect: a high cosine goes with a large interaction."""
        spec, clusters, undefined = self.spec, self.grid.scene.clusters, self._undefined(sample)
        hold = partial(held, n=len(self.grid.tasks), of=self._of)
        along = sample.cells.cosine[spec.sites.depths].mean(0)
        cosine = Interval.unknown() if undefined else mean_cosine(along, clusters)
        yield hold("cosine", cosine, at_least=spec.min_cosine, unreliable=undefined, key="min_cosine")
        rounded = undefined or self._rounded(sample.rounding)
        kl = positive_mean(sample.additive, clusters)
        yield hold("KL", kl, at_most=spec.max_kl, unreliable=rounded, key="max_kl")
        yield self._tail(sample).criterion(rounded)
        if spec.max_recovered is None and spec.min_recovered is None:
            return
        recovered = largest(sample.recovered)
        hold = partial(hold, "share recovered", recovered, unreliable=self._close(sample))
        if (most := spec.max_recovered) is not None:
            yield hold(at_most=most, key="max_recovered")
        if (least := spec.min_recovered) is not None:
            yield hold(at_least=least, key="min_recovered")

    def figures(self, sample: GridSample) -> Figures:
        """Show what was found at every site and of every cell, and what is said under changes."""
        effects = FactorialEffects(sample, self._said(sample.record))
        return Figures(
            curve=effects.curve(),
            tables=tuple(effects.tables()),
            probes=effects.furthest(),
            notes=(
                *effects.notes(self.spec.min_cosine, self.spec.max_kl),
                *self._tail(sample).notes(),
                *by_length("KL", sample.additive, self.grid.tasks),
            ),
        )

    def controls(self) -> Mapping[str, Sequence["FactorialCase"]]:
        """Put nothing, or another persona, in the place of this one where it is alone: no sum of this one's.

        It is measured for this alone, so one other persona has a turn.
        """
        scene = self.grid.scene
        kin = scene.kin_of(self.persona)
        able = (name for name in scene.personas if name not in kin and self.spec.poses(scene, name))
        conditions = ((name, self.spec.condition(scene, name)) for name in able)
        others = ((f"{name} by prompt", alone) for name, alone in conditions if alone != self.grid.persona)
        return {
            name: [replace(self, grid=replace(self.grid, alone=alone))]
            for name, alone in ((NOTHING, self.grid.neutral), *islice(others, 1))
        }

    def _tail(self, sample: GridSample) -> Tail:
        worst = at_worst(self.spec.max_worst_kl, self.spec.max_kl)
        return Tail("KL", "max_worst_kl", sample.additive, self.grid.scene.clusters, worst, self._of)

    def _close(self, sample: GridSample) -> str | None:
        gap = float(sample.kl[BARE].mean())
        if gap >= LEAST_GAP:
            return None
        return (
            f"without its text {self.persona!r} is KL {number(gap)} nat away, of at least {LEAST_GAP:g}: "
            "there is nothing to recover"
        )

    def _undefined(self, sample: GridSample) -> str | None:
        still = sample.cells.still[:, self.spec.sites.depths]
        still[0] &= self.grid.alone != self.grid.neutral  # of nobody nothing else is to be expected
        places = np.argwhere(still)
        if not len(places):
            return None
        what, site, row = places[0]
        moved = (f"the persona {self.persona!r}", "the task", "persona and task together", "their sum")[what]
        where = f"{self.spec.sites.sites[site]}, {self.grid.position}"
        return f"{moved} moves nothing at {where} for {self.grid.tasks[row].id!r}"

    def _rounded(self, cost: float) -> str | None:
        if cost <= ROUNDING * self.spec.max_kl:
            return None
        return (
            f"the model's own residuals, put back, cost KL {number(cost)} nat: rounding hides what is judged"
        )

    def _said(self, record: Record) -> dict[str, Replies]:
        def said(change: Injection) -> Replies:
            texts = (record.reply(self.grid.reply(task, change)) for task in self.grid.tasks)
            return Replies.of(texts, self._markers)

        return {name: said(change) for name, change in self._spoken.items()}

    def _divergences(self, changes: Iterable[Injection]) -> list[Measurement]:
        return [self.grid.divergence(task, change) for change in changes for task in self.grid.tasks]

    @property
    def _of(self) -> Sampled:
        return "probes" if self.spec.tasks is None else "tasks"

    @property
    def _spoken(self) -> dict[str, Injection]:
        """The reply that KL is taken of; where the reply begins and markers tell, those under changes too."""
        spoken = self.changes.spoken
        if self.grid.position is Position.PROMPT_LAST and self._markers:
            return spoken
        return {"clean": spoken["clean"]}

    @property
    def _markers(self) -> tuple[Marker, ...]:
        return self.grid.scene.personas[self.persona].markers


def _at_a_token(position: Position) -> Position:
    if position is Position.RESPONSE_MEAN:
        raise ValueError(
            "no residual can take the place of a mean; expected prompt_last, turn_last, user_last, g1 or g2"
        )
    return position


def _together(written: object) -> object:
    return [written] if isinstance(written, str) else written


Token = Annotated[Position, AfterValidator(_at_a_token)]
SiteSet = Annotated[
    tuple[Band, ...],
    Field(min_length=1),
    BeforeValidator(_together, json_schema_input_type=tuple[Band, ...] | Band),
]


class Factorial(Property):
    """Persona and task add up at a token: what they do together is the sum of what each does alone.

    Four prompts: neutral (BB), persona (XB), task (BY) and both (XY). XB + BY - BB takes the place of XY's
    residuals, and KL says what that changes. Source: arXiv 2605.23147 (As X, do Y).
    """

    family: ClassVar[str] = "commutativity"

    property: Literal["factorial"] = Field(description="Names this property.")
    tasks: tuple[WrittenProbe, ...] | None = Field(
        None, description="What the user asks for; default: the suite's probes."
    )
    neutral_task: str = Field("Say something.", min_length=1, description="The task that stands for none.")
    neutral_persona: WrittenPrompt | None = Field(
        None,
        description="The prompt that stands for no persona, in the same turn; default: the suite's neutral "
        "system prompt alone.",
    )
    turn: Literal["user", "system"] | None = Field(
        None, description="Whose turn the persona's prompt stands in; default: its own role."
    )
    positions: tuple[Token, ...] = Field(
        (Position.PROMPT_LAST, Position.G1, Position.G2),
        min_length=1,
        description="Tokens to judge at, one assertion each; turn_last is the user's turn of arXiv "
        "2605.23147, user_last the user's own words; g1 and g2 are of the reply under XY.",
    )
    sites: Band = Field(description="Where persona and task must add up; cosine and KL are averaged over it.")
    stride: int = Field(
        1, ge=1, description="KL is taken at every so-many-th site of the band, its last among them."
    )
    inject: tuple[SiteSet, ...] | None = Field(
        None,
        min_length=1,
        description="Sets of sites at which the sum is put into the prompt without the persona's text; "
        "default: each site at which KL is taken, and the whole band.",
    )
    tokens: int = Field(10, ge=1, le=512, description="How many tokens of the reply KL is summed over.")
    min_cosine: Annotated[float, COSINE] = Field(
        0.8, ge=-1, le=1, description="Least cosine of dXY and dX + dY."
    )
    max_kl: Annotated[float, SIZE] = Field(
        0.1, gt=0, description="Largest KL that the sum in XY's place costs, in nats."
    )
    max_worst_kl: Annotated[float | None, SIZE] = Field(
        None, gt=0, description="Largest such KL of any task, in nats; default: ten times `max_kl`."
    )
    max_recovered: Annotated[float | None, RECOVERED] = Field(
        None,
        description="Largest share of KL(XY || BY) that injection at the best set of sites takes away: a "
        "cached vector does not replace the prompt.",
    )
    min_recovered: Annotated[float | None, RECOVERED] = Field(
        None, description="Least such share: a cached vector replaces it."
    )

    def changes(self) -> Injections:
        """List what is changed, and where."""
        tested = self.sites.sites[:: -self.stride][::-1]
        sets = [*((site,) for site in tested), self.sites.sites]
        if self.inject is not None:
            sets = [_rising(bands) for bands in self.inject]
        return Injections(self.sites, tested, tuple(dict.fromkeys(sets)))

    def cases(self, scene: Scene) -> list[Case]:
        """One case per position and persona with a prompt."""
        scene = replace(scene, probes=self._tasks(scene))
        personas = cast(self.personas, scene, lambda persona: scene.supports(persona, Regime.PROMPT))
        if not personas:
            raise SuiteError("factorial found no persona with a prompt")
        return [self._case(persona, place, scene) for persona in personas for place in self.positions]

    def poses(self, scene: Scene, persona: str) -> bool:
        """Tell whether the persona has a prompt that its turn can hold."""
        prompt = scene.personas[persona].prompt
        return prompt is not None and _fits(prompt, self._role(prompt))

    def condition(self, scene: Scene, persona: str) -> Condition:
        """Put the persona's prompt into its turn; a SuiteError says why it cannot stand there."""
        (prompt,) = scene.condition(persona, Regime.PROMPT).prompts  # complains of one that is missing
        return _posed(scene, prompt, self._role(prompt), f"of persona {persona!r}")

    def _case(self, persona: str, position: Position, scene: Scene) -> Case:
        condition, neutral = self.condition(scene, persona), scene.bare
        if self.neutral_persona:
            role = condition.prompts[0].role
            neutral = _posed(scene, self.neutral_persona, role, "under 'neutral_persona:'")
        task = Probe(id="neutral-task", text=self.neutral_task)
        grid = Grid(scene, neutral, condition, condition, task, position, self.tokens)
        return FactorialCase(persona, str(position), self, grid, self.changes())

    def _role(self, prompt: Prompt) -> Literal["user", "system"]:
        return self.turn or prompt.role

    def _tasks(self, scene: Scene) -> tuple[Probe, ...]:
        tasks = scene.probes if self.tasks is None else self.tasks
        words = [_words(task.text) for task in tasks]
        for row, task in enumerate(tasks):
            if words[row] in words[:row]:
                raise SuiteError(f"the task {task.text!r} is listed twice; what is there twice counts twice")
            if task.id in [other.id for other in tasks[:row]]:
                raise SuiteError(f"two tasks have the id {task.id!r}; give one of them another with 'id:'")
        if _words(self.neutral_task) in words:
            raise SuiteError(
                f"the neutral task {self.neutral_task!r} is a task as well, and would be held against "
                "itself; expected another text under 'neutral_task:'"
            )
        independent = len({task.cluster for task in tasks})
        if independent < LEAST_CLUSTERS:
            raise SuiteError(
                f"factorial needs at least {LEAST_CLUSTERS} tasks, as its intervals run over them (those of "
                f"one template count once); found {independent}"
            )
        return tasks


def _rising(bands: Iterable[Band]) -> tuple[Site, ...]:
    sites = dict.fromkeys(site for band in bands for site in band.sites)
    return tuple(sorted(sites, key=lambda site: site.depth))


def _posed(scene: Scene, prompt: Prompt, role: Literal["user", "system"], whose: str) -> Condition:
    if not _fits(prompt, role):
        raise SuiteError(
            f"the prompt {whose} is put around the question, which the system turn does not hold; "
            "expected 'turn: user', or a prompt without '{probe}'"
        )
    return replace(scene.bare, prompts=(prompt.model_copy(update={"role": role}),))


def _fits(prompt: Prompt, role: str) -> bool:
    return role == "user" or not prompt.surrounds


def _words(text: str) -> str:
    """Leave out what makes no other task: case, spaces and punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold())) or text
