"""Checks of a release: whether base, adapters and vectors are found, can be read, and fit each other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path

from coherence.doctor.check import Check, State, tried
from coherence.doctor.written_prompts import written_prompts
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.release_remarks import ReleaseRemarks
from coherence.engine.artefacts.remark import Remark
from coherence.engine.artefacts.resolve import adapter_here, base_here
from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.model.chat import Chat
from coherence.engine.model.loading import load_tokenizer
from coherence.errors import CoherenceError, SuiteError
from coherence.plan import LawName, LawSearch, Measurement, Plan
from coherence.suite import Assertion, Overrides, Suite, load_suite
from coherence.vocabulary import Site
from coherence.vocabulary.training_file import ASK_OTHERS


def release(path: Path, served: str | None = None) -> Iterator[Check]:
    """Look at a suite and its artefacts. No weights of the base are loaded, and nothing is downloaded.

    `served` is the URL of a server in the place of the suite's own, which is not asked.
    """
    try:
        suite = load_suite(path, Overrides(served=served))
    except SuiteError as problem:
        yield Check("fail", "suite", str(problem), f"see `coherence validate {path}`")
        return
    yield Check("ok", "suite", f"{path}, {len(suite.assertions)} assertions")
    yield from _Examination(suite).checks()


class _Examination:
    """A release, its base once it was found, and the lines that named its artefacts."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.release = suite.scene.release
        self.artefacts = Artefacts.of(suite.scene, suite.places)

    def checks(self) -> Iterator[Check]:
        """Look at training files, then at the base, and at the rest if there is a base to hold it against."""
        yield from self._training()
        try:
            base = self._base()
        except CoherenceError as problem:
            yield Check("fail", "base", str(problem), "adapters and vectors are not looked at")
            return
        if base is None:
            sentence = f"{self.release.base} is not on this machine: adapters and vectors are not looked at"
            yield Check("warn", "base", sentence, "the first run downloads it")
            return
        size = f"{base.parameters / 1e6:.1f} million parameters, {base.blocks} blocks of width {base.width}"
        yield Check("ok", "base", f"{self.release.base}: {size}")
        yield tried("room", partial(self._room, base))
        yield tried("template", partial(self._template, base))
        yield tried("reasoning", self._reasoning)
        yield tried("decoding", self._decoding)
        yield tried("laws", self._laws)
        remarks = ReleaseRemarks(self.artefacts)
        for name in self.release.adapters:
            check = tried(f"adapter {name}", partial(self._adapter, base, name))
            yield from _with_remarks(check, partial(remarks.of, "adapters", name))
        for name in self.release.vectors:
            check = tried(f"vector {name}", partial(self._vector, base, name))
            yield from _with_remarks(check, partial(remarks.of, "vectors", name))

    def _training(self) -> Iterator[Check]:
        """Say which probes and markers are in what adapters were trained on."""
        for name, trained in self.suite.scene.trained.items():
            what = f"training of {name}"
            if trained.of_probes and trained.file.probes != "exclude":
                state: State = "fail" if trained.file.probes == "error" else "warn"
                yield Check(state, what, trained.of_probes, ASK_OTHERS)
            yield from (Check("ok", what, note) for note in trained.notes)
            if not (trained.probes or trained.markers):
                yield Check("ok", what, f"none of the probes and markers is in its {trained.replies} replies")

    def _base(self) -> Skeleton | None:
        with self.artefacts.blaming("base"):
            folder = base_here(self.release.base)
            return Skeleton(folder) if folder else None

    def _room(self, base: Skeleton) -> str:
        with self.artefacts.blaming("base"):
            return f"in {self.release.dtype} it fits on {base.room(self.release.dtype)}"

    def _template(self, base: Skeleton) -> str:
        with self.artefacts.blaming("base"):
            chat = Chat(load_tokenizer(base.folder), self.artefacts.templating)
            return written_prompts(chat, _measurements(self.suite.assertions), self.suite.scene.probes[0])

    def _reasoning(self) -> str:
        """Say whether replies begin with reasoning, as far as the chat template tells."""
        scene, template = self.suite.scene, self.artefacts.template
        if template.sets_apart(scene.thinking):
            most = scene.decoding.max_new_tokens
            return (
                f"replies may begin with it: it is set apart, and both have {most} tokens (`max_new_tokens`)"
            )
        if template.can_reason:
            return f"the chat template is told not to (`thinking: {scene.thinking}`); `thinking: on` lets it"
        return "the chat template knows none, and replies are answers as a whole"

    def _decoding(self) -> str:
        remark = self.artefacts.generation.remark(self.suite.scene.sampling)
        return remark or "replies follow all that the base ships for decoding"

    def _laws(self) -> str | Check:
        """Hold the tolerances of laws against what this base rounds."""
        needs = (need for assertion in self.suite.assertions for need in assertion.case.needs())
        laws = (one for one in needs if isinstance(one, LawSearch) and isinstance(one.law, LawName))
        sentence = next(filter(None, (self.artefacts.rounding(law.tolerance) for law in laws)), None)
        if sentence:
            return Check("warn", "laws", sentence, "state a larger `tolerance`")
        return f"none is held to less than what {self.release.dtype} rounds"

    def _adapter(self, base: Skeleton, name: str) -> str | Check:
        named = self.release.adapters[name]
        with self.artefacts.blaming("adapters", name):
            folder = adapter_here(named)
            if folder is None:
                sentence = f"{named} is not on this machine: whether it fits the base is not looked at"
                return Check("warn", f"adapter {name}", sentence, "the first run downloads it")
            remark = base.carry(folder, name)
        if remark:
            return Check("warn", f"adapter {name}", f"{named} fits the base, but {remark}")
        return f"{named} fits the base"

    def _vector(self, base: Skeleton, name: str) -> str:
        source = self.release.vectors[name]
        if source.extract is not None:
            return f"is extracted from {source.extract.of} at {source.extract.site}"
        with self.artefacts.blaming("vectors", name):
            vector = base.vector(source, name)
        unused = f"; {vector.remark}" if vector.remark else ""
        return f"{source.path} fits the base, at {_listed(list(vector.directions))}{unused}"


def _listed(sites: Sequence[Site]) -> str:
    first, *others = sites
    return f"{len(sites)} sites from {first} to {others[-1]}" if others else str(first)


def _measurements(assertions: Iterable[Assertion]) -> Iterator[Measurement]:
    """Yield all that is measured; what an assertion cannot ask for is its own error in a run."""
    for assertion in assertions:
        with suppress(CoherenceError):
            yield from Plan(chain(assertion.case.measurements(), assertion.control_needs()))


def _with_remarks(check: Check, look: Callable[[], Iterable[Remark]]) -> Iterator[Check]:
    """Yield a check, and what of an artefact that fits should be known before it is measured, or served."""
    yield check
    if check.state != "fail":
        for remark in look():
            yield Check("fail" if remark.fatal else "warn", check.what, remark.found, remark.do)
