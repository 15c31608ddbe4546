"""Which artefact an assertion is likely red because of: its own, or one that it was held against."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

from coherence.engine.artefacts.artefacts import Named
from coherence.engine.artefacts.remark import Remark
from coherence.plan import Scene
from coherence.results import AssertionResult
from coherence.vocabulary import Cause, Verdict

Suspects = Mapping[Named, Cause]


@dataclass(frozen=True)
class Bearing:
    """What a verdict rests on, and whether it went wrong."""

    red: bool
    fails: bool
    own: frozenset[Named]
    """Artefacts of the persona that is judged; all that take part where the claim is about no single one."""

    against: frozenset[Named]
    """The others that decide it: those of other personas, and those of a control that passes too."""

    @classmethod
    def of(
        cls, result: AssertionResult, scene: Scene, deciding: Iterable[Named], controls: Iterable[Named]
    ) -> Self:
        """Tell the persona's own artefacts from those that it is held against."""
        evidence, decisive = result.evidence, frozenset(deciding)
        if evidence and evidence.passing_control:
            decisive |= frozenset(controls)
        own = frozenset(_own(result.persona, scene)) & decisive or decisive
        return cls(
            red=evidence is not None and not result.green,
            fails=result.verdict is Verdict.FAIL,
            own=own,
            against=decisive - own,
        )


def likely_causes(
    bearings: Sequence[Bearing], remarks: Mapping[Named, Sequence[Remark]]
) -> list[Cause | None]:
    """Find for each red verdict what was said of an artefact that explains it; None where nothing does.

    A persona's own artefacts come first. A claim that rests on another's follows from that one,
    where that one is red itself.
    """
    suspects = _suspects(bearings, remarks)
    explained = {
        named: cause
        for named, cause in suspects.items()
        if any(one.red and named in one.own for one in bearings)
    }
    return [_cause(one, suspects, explained) if one.red else None for one in bearings]


def _cause(bearing: Bearing, suspects: Suspects, explained: Suspects) -> Cause | None:
    own = (suspects[named] for named in sorted(bearing.own) if named in suspects)
    others = (
        cause.model_copy(update={"follows": True})
        for named, cause in explained.items()
        if named in bearing.against
    )
    return next(chain(own, others), None)


def _suspects(bearings: Sequence[Bearing], remarks: Mapping[Named, Sequence[Remark]]) -> Suspects:
    """Name a cause for each artefact that may be one, the first that was said of it."""
    causes: dict[Named, Cause] = {}
    for named, of_artefact in remarks.items():
        for remark in of_artefact:
            if remark.explains and (plainly := _plainly(named, remark, bearings)):
                cause = Cause(artefact=" ".join(_one(named)), sentence=plainly, remedy=remark.do)
                causes.setdefault(named, cause)
    return causes


def _plainly(named: Named, remark: Remark, bearings: Sequence[Bearing]) -> str | None:
    """Say what was found; None of an artefact that is in its place, as the verdicts show."""
    kind, name = _one(named)
    if not remark.same_as:
        return remark.plainly or f"{kind} {name!r}: {remark.found}"
    several = sorted((name, *remark.same_as))
    wrong = set(_failing(named[0], several, bearings))
    if not wrong or len(wrong) == len(several):
        return f"the {kind}s of {' and '.join(several)} are the same, byte by byte"
    owners = " and ".join(f"{other}'s" for other in several if other not in wrong)
    return f"{name}'s {kind} is {owners}, byte by byte" if name in wrong else None


def _failing(kind: str, names: Sequence[str], bearings: Sequence[Bearing]) -> Iterator[str]:
    """Yield the artefacts of which a claim fails that nothing else decides."""
    for name in names:
        if any(one.fails and not one.against and (kind, name) in one.own for one in bearings):
            yield name


def _own(persona: str, scene: Scene) -> Iterator[Named]:
    """Yield the artefacts of a persona, whether the release has them or not."""
    if persona in scene.personas:
        yield "adapters", scene.adapter_of(persona)
        yield "vectors", scene.vector_of(persona)


def _one(named: Named) -> Named:
    kind, name = named
    return kind.removesuffix("s"), name
