"""Opening a suite in Python, with artefacts in the place of its own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from coherence.api.opened import OpenSuite
from coherence.errors import SuiteError
from coherence.plan import Scene
from coherence.store import Store, store_root
from coherence.suite import Overrides, Suite, load_suite
from coherence.vocabulary.release import Dtype

_NONE: Mapping[str, str | Path] = {}


def open_suite(
    suite: str | Path | Scene,
    *,
    base: str | Path | None = None,
    adapters: Mapping[str, str | Path] = _NONE,
    vectors: Mapping[str, str | Path] = _NONE,
    seed: int | None = None,
    dtype: Dtype | None = None,
    store: str | Path | None = None,
) -> OpenSuite:
    """Open a suite file, or a scene made in Python, to measure and judge. It need not assert anything.

    What is given takes the place of the suite's own, as the options of the gate do; paths are relative to
    the current directory. Measurements are kept in `store`; default: the user's cache. No model is loaded
    before one is needed. A SuiteError says what is wrong in which file, or which name no artefact has.
    """
    overrides = Overrides(
        base=None if base is None else str(base),
        adapters={name: str(path) for name, path in adapters.items()},
        vectors={name: str(path) for name, path in vectors.items()},
        seed=seed,
        dtype=dtype,
    )
    if isinstance(suite, Scene):
        opened = _staged(suite, overrides)
    else:
        opened = load_suite(Path(suite), overrides, must_assert=False)
    try:
        overrides.require_use([opened.scene.release])
    except SuiteError as problem:  # there is no command line to blame
        raise SuiteError(problem.sentence) from None
    return OpenSuite(opened, Store(Path(store) if store else store_root()))


def _staged(scene: Scene, overrides: Overrides) -> Suite:
    """Make a suite of a scene."""
    release = overrides.apply(scene.release)
    seed = scene.seed if overrides.seed is None else overrides.seed
    return Suite(Path("a scene"), overrides, replace(scene, release=release, seed=seed), overrides.places, ())
