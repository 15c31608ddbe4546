"""What a person looks at to believe a verdict: curves, arrows, tables, probes, notes. None of it decides."""

from itertools import combinations
from typing import Literal, Self

from pydantic import Field, model_validator

from coherence.vocabulary.frozen import Frozen, Statistic, Text

Column = tuple[float | None, ...]
"""Numbers, one for each place; None where there is none."""


class Abscissa(Frozen):
    """The horizontal axis of a curve: what it is drawn over."""

    title: str = Field(description="What the places are numbers of, such as `dose`.")
    diagonal: str | None = Field(
        None, description="What it means where a value equals its place; a line is drawn there."
    )


class Series(Frozen):
    """One line of a curve, with the ends of its intervals where it has them."""

    values: Column
    low: Column | None = None
    high: Column | None = None

    @model_validator(mode="after")
    def _of_one_length(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("has one end of an interval; expected both, or none")
        if any(len(end) != len(self.values) for end in (self.low, self.high) if end is not None):
            raise ValueError("has intervals for other places than values; expected one each")
        return self


class Zone(Frozen):
    """A range at each place, such as that in which a persona is at home."""

    name: str
    low: Column
    high: Column


class Threshold(Frozen):
    """What a series of a curve is held against, where it is judged."""

    series: str = Field(description="Name of the series that is held against it.")
    value: float
    kind: Literal["at least", "at most"]

    def __str__(self) -> str:
        return f"{self.series} {self.kind} {self.value:g}"


class Curve(Frozen):
    """Named series over one abscissa."""

    over: Abscissa
    at: tuple[str, ...] = Field(description="Names of the places: numbers, or of sites in their order.")
    series: dict[str, Series] = Field(min_length=1)
    value: str | None = Field(None, description="What the series are values of, such as `cosine`.")
    zone: Zone | None = None
    judged: tuple[str, str] | None = Field(
        None, description="The first and the last place that the verdict is about; absent where all are."
    )
    thresholds: tuple[Threshold, ...] = Field((), description="What series are held against.")

    @model_validator(mode="after")
    def _value_at_each_place(self) -> Self:
        lines = [one.values for one in self.series.values()]
        if self.zone:
            lines += [self.zone.low, self.zone.high]
        if any(len(line) != len(self.at) for line in lines):
            raise ValueError(f"has {len(self.at)} places; expected a value of each series at every one")
        return self

    @model_validator(mode="after")
    def _about_what_is_there(self) -> Self:
        if self.judged and not set(self.judged) <= set(self.at):
            raise ValueError(f"is judged from {' to '.join(self.judged)}; expected two of its places")
        if unknown := next((one for one in self.thresholds if one.series not in self.series), None):
            raise ValueError(f"holds {unknown}; expected one of its series: {', '.join(self.series)}")
        return self


class Arrows(Frozen):
    """Ways through a plane, each with a name: from one point to another, (x, y) both."""

    x: str = Field(description="What the horizontal axis is.")
    y: str = Field(description="What the vertical axis is.")
    begins: str = Field(description="What the first point of each is, such as `at release`.")
    ends: str = Field(description="What the second is.")
    start: dict[str, tuple[float | None, float | None]]
    end: dict[str, tuple[float | None, float | None]]

    @model_validator(mode="after")
    def _both_ends(self) -> Self:
        if self.start.keys() != self.end.keys():
            raise ValueError("has arrows with one end; expected both of each")
        return self


class Point(Frozen):
    """A place in a plane, of someone in one of several groups; points of one name are joined."""

    name: str
    group: str
    x: Statistic
    y: Statistic


class Scatter(Frozen):
    """Points in a plane, or in several of a space: any two of its axes make one."""

    x: str = Field(description="What the horizontal axis is.")
    y: str = Field(description="What the vertical axis is.")
    points: tuple[Point, ...]
    further: dict[str, tuple[Statistic, ...]] = Field(
        default_factory=dict, description="Where the points are along further axes, by what these are."
    )

    @model_validator(mode="after")
    def _place_for_each(self) -> Self:
        if any(len(along) != len(self.points) for along in self.further.values()):
            raise ValueError("expected a place along every further axis for each point")
        return self

    @property
    def planes(self) -> tuple["Scatter", ...]:
        """The plane of every other two of its axes."""
        x, y = ([getattr(point, axis) for point in self.points] for axis in ("x", "y"))
        along = {self.x: x, self.y: y, **self.further}
        _, *others = combinations(along, 2)
        return tuple(
            Scatter(
                x=first,
                y=second,
                points=tuple(
                    point.model_copy(update={"x": at, "y": up})
                    for point, at, up in zip(self.points, along[first], along[second], strict=True)
                ),
            )
            for first, second in others
        )


class Table(Frozen):
    """Numbers by row and column; None where there is none."""

    name: str = Field(description="What the numbers are.")
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[Column, ...]
    matrix: bool = Field(
        False, description="Whether rows are held against columns: it is drawn as a heat map as well."
    )

    @model_validator(mode="after")
    def _cell_for_each(self) -> Self:
        if [len(row) for row in self.cells] != [len(self.columns)] * len(self.rows):
            raise ValueError("expected a row of cells for each row, and in it a cell for each column")
        return self


class ProbeNote(Frozen):
    """A probe worth looking at, with the replies of the regimes side by side where there are replies."""

    probe: str
    note: Text
    question: Text | None = Field(
        None, description="What was asked, whole: the probe's text, or a script's turns, one a line."
    )
    replies: dict[str, Text] = Field(default_factory=dict)
    marks: dict[str, tuple[tuple[int, int], ...]] = Field(
        default_factory=dict, description="Where each reply has its markers: start and end of each."
    )
    example: str | None = Field(
        None, description="The counterexample, as JSON that `coherence replay` takes."
    )


class Figures(Frozen):
    """All that is shown of one assertion beside what decides."""

    fact: Text | None = Field(None, description="What was seen, in plain words; no statistic decides by it.")
    cause: Text | None = Field(
        None, description="What likely makes it red if it is red, where what was measured tells it."
    )
    curve: Curve | None = None
    arrows: Arrows | None = None
    scatter: Scatter | None = None
    tables: tuple[Table, ...] = ()
    probes: tuple[ProbeNote, ...] = ()
    notes: tuple[Text, ...] = ()
