"""Whether files are those that a run judged, and found well: what a deployment asks before it serves them.

Every file is read; nothing that is remembered of it is believed, and nothing is downloaded.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from coherence.doctor.check import Check, tried
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.digests import folder_files, read_digest
from coherence.engine.artefacts.resolve import adapter_here, base_here
from coherence.errors import CoherenceError, did_you_mean, listed
from coherence.results import Results
from coherence.suite import Suite
from coherence.suite.paths import named_here
from coherence.vocabulary import ArtefactFiles, Release


class Verification:
    """Holds artefacts against the results of a run."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._judged: dict[str, list[ArtefactFiles]] = {}
        for one in results.artefacts:
            self._judged.setdefault(one.name, []).append(one)

    def verdicts(self) -> Check:
        """Look whether all that was judged is as expected."""
        results = self._results
        count = f"{_counted(results.assertions, 'assertion')} of {results.started}"
        if results.green:
            return Check("ok", "verdicts", f"{count}, all as expected")
        if not results.assertions:
            return Check("fail", "verdicts", "nothing was judged")
        red = [result.id for result in results.assertions if not result.green]
        if not red:
            return Check(
                "fail", "verdicts", f"{count}: all as expected, but not what changed since the baseline"
            )
        return Check("fail", "verdicts", f"{count}: {len(red)} not as expected: {listed(red)}")

    def of_run(self) -> Iterator[Check]:
        """Look at the artefacts where the run found them."""
        if not any(one.files for one in self._results.artefacts):
            yield Check(
                "fail",
                "release",
                "the results name no files: nothing was measured, or an older version wrote them",
                "judge the release again",
            )
        for one in self._results.artefacts:
            if one.files:
                yield tried(one.name, partial(_held, one.named, [one]))

    def of_files(self, named: Mapping[str, str]) -> Iterator[Check]:
        """Look at artefacts by name, such as `adapter pirate`, at paths or ids of a hub.

        A CoherenceError where the run judged none of that name.
        """
        for name in named:
            if name not in self._judged:
                raise CoherenceError(f"the run judged no {name}{did_you_mean(name, self._judged)}")
        return self._of_files(named)

    def _of_files(self, named: Mapping[str, str]) -> Iterator[Check]:
        for name, where in named.items():
            yield tried(name, partial(_held, named_here(where), self._judged[name], where))
        if left := [name for name in self._judged if name not in named]:
            yield Check("warn", "release", f"was judged with {listed(left)}, which nothing here names")

    def of_suite(self, suite: Suite) -> Iterator[Check]:
        """Look at the whole release of a suite, and whether all that the suite asserts was judged."""
        yield self._asserted(suite)
        artefacts = Artefacts.of(suite.scene, suite.places)
        for name, where in _named(suite.scene.release).items():
            yield tried(name, partial(self._released, artefacts, name, where))

    def _asserted(self, suite: Suite) -> Check:
        judged = {(Path(result.suite).name, result.id) for result in self._results.assertions}
        left = [one.id for one in suite.assertions if (suite.path.name, one.id) not in judged]
        if left:
            return Check("fail", "suite", f"{suite.path} asserts what was not judged: {listed(left)}")
        return Check("ok", "suite", f"{suite.path}: {_counted(suite.assertions, 'assertion')}, all judged")

    def _released(self, artefacts: Artefacts, name: str, where: str | None) -> str | Check:
        judged = self._judged.get(name)
        if judged is None:
            return Check("fail", name, "was not judged")
        kind, _, own = name.partition(" ")
        if kind != "vector":
            return _held(str(where), judged)
        alike = any(one.digest == artefacts.vector_digest(own) for one in judged)
        if where is None:
            sentence = "is extracted as the one that was judged"
            return sentence if alike else Check("fail", name, "is extracted otherwise than was judged")
        held = _held(where, judged)
        if alike or isinstance(held, Check):
            return held
        return Check(
            "fail", name, f"{where}: as judged, but read or deployed otherwise: site, layers, key or use"
        )


def _named(release: Release) -> dict[str, str | None]:
    """Where a release has its artefacts; None for a vector that the suite extracts."""
    adapters = {f"adapter {name}": where for name, where in release.adapters.items()}
    vectors = {f"vector {name}": source.path for name, source in release.vectors.items()}
    return {"base": release.base, **adapters, **vectors}


def _held(where: str, judged: Sequence[ArtefactFiles], written: str | None = None) -> str | Check:
    """Hold the files at a place against those that were judged by one name: the most alike of several.

    What is said of the place calls it as it was `written`.
    """
    shown = written or where
    name = judged[0].name
    files = _files_at(name, where)
    if files is None:
        return Check("fail", name, f"{shown} is not on this machine")
    differences = min((_differences(files, one) for one in judged), key=len)
    if differences:
        return Check("fail", name, f"{shown}: {'; '.join(differences)}")
    return f"{shown}: {_counted(files, 'file')}, as judged"


def _files_at(name: str, where: str) -> dict[str, str] | None:
    kind = name.partition(" ")[0]
    if kind == "vector":
        return {Path(where).name: read_digest(Path(where))}
    folder = base_here(where) if kind == "base" else adapter_here(where)
    return folder_files(folder, read_digest) if folder else None


def _differences(present: Mapping[str, str], judged: ArtefactFiles) -> list[str]:
    files = judged.files
    if len(files) == len(present) == 1:
        # A file by itself is what it holds, whatever a deployment calls it.
        present = dict(zip(files, present.values(), strict=True))
    changed = [name for name in files if name in present and present[name] != files[name]]
    lost = [name for name in files if name not in present]
    new = [name for name in present if name not in files]
    by_state = {"holds something else than was judged": changed, "is missing": lost, "was not there": new}
    return [f"{name} {what}" for what, names in by_state.items() for name in names]


def _counted(things: Collection[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
