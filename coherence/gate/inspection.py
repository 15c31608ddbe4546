"""A look at the artefacts of a release before anything is measured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain

from coherence.baseline import Baseline
from coherence.engine.artefacts.artefacts import Artefacts, Named
from coherence.engine.artefacts.release_remarks import Blessed, ReleaseRemarks
from coherence.engine.artefacts.remark import Remark
from coherence.errors import ArtefactError, CoherenceError
from coherence.gate.needs import Needs
from coherence.gate.release_notes import carried
from coherence.plan import Plan, Scene
from coherence.vocabulary.training_file import ASK_OTHERS


class Inspection:
    """What of the artefacts that take part does not go together; those of a hub are fetched for it."""

    def __init__(
        self, needs: Sequence[Needs], artefacts: Artefacts, said: ReleaseRemarks, scenes: Sequence[Scene]
    ) -> None:
        self._needs, self._artefacts = needs, artefacts
        involved = carried(chain.from_iterable(one.plan for one in needs), artefacts)
        _fetch(involved, artefacts)
        self.remarks: Mapping[Named, Sequence[Remark]] = {
            named: [*said.of(*named), *_trained(named, scenes)] for named in involved
        }

    def sentences(self) -> Iterator[str]:
        """Yield every remark with the name of its artefact, and its line."""
        return (str(problem) for _, _, problem in self._problems())

    def refuse(self, strict: bool) -> None:
        """Refuse what rests on what is wrong; strictly, on whatever has a remark."""
        refused: dict[Named, CoherenceError] = {}
        for named, remark, problem in self._problems():
            if remark.fatal or strict:
                refused.setdefault(named, problem)
        for one in self._needs if refused else ():
            carries = carried(Plan(one.measurements), self._artefacts)
            if wrong := [refused[named] for named in carries if named in refused]:
                one.refuse(wrong[0])

    def _problems(self) -> Iterator[tuple[Named, Remark, CoherenceError]]:
        for (kind, name), remarks in self.remarks.items():
            for remark in remarks:
                yield (kind, name), remark, self._artefacts.blamed(ArtefactError(str(remark)), kind, name)


def _trained(named: Named, scenes: Sequence[Scene]) -> Iterator[Remark]:
    """Yield which probes an adapter was trained on, unless they are left out."""
    kind, name = named
    told = [scene.trained[name] for scene in scenes if kind == "adapters" and name in scene.trained]
    for trained in dict.fromkeys(told):
        if trained.of_probes and trained.file.probes != "exclude":
            yield Remark(trained.of_probes, ASK_OTHERS, fatal=trained.file.probes == "error")


def _fetch(involved: Iterable[Named], artefacts: Artefacts) -> None:
    """See that they are on this machine; where one cannot be had, the verdicts say why."""
    with suppress(CoherenceError):
        _ = artefacts.base
    for kind, name in involved:
        if kind == "adapters":
            with suppress(CoherenceError):
                artefacts.adapter(name)


def blessed(baseline: Baseline | None, files: Iterable[str]) -> Blessed:
    """Take what a baseline says of the artefacts of these suites."""
    named = set(files)
    lines = [suite for name, suite in baseline.suites.items() if name in named] if baseline else []
    return Blessed(
        {name: digest for suite in lines for name, digest in suite.release.items()},
        {name: scale for suite in lines for name, scale in suite.scales.items()},
    )
