"""Which engine the options ask for."""

from importlib.util import find_spec

import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import Executor, MakeExecutor, Warn
from coherence.engine.executors.local import LocalExecutor
from coherence.errors import did_you_mean
from coherence.plugin.options import setting_of
from coherence.store import Store

_ENGINES = ("local", "ray")


def engine(config: pytest.Config) -> MakeExecutor:
    """Return what makes the executor of `--coherence-engine`; one that is not there is a UsageError."""
    written, where, _ = setting_of(config, "--coherence-engine")
    actors = setting_of(config, "--coherence-actors")
    name, given, address = written.partition("=")
    if name not in _ENGINES:
        raise pytest.UsageError(f"{where}: unknown engine {name!r}{did_you_mean(name, _ENGINES)}")
    if given and (name != "ray" or not address):
        raise pytest.UsageError(f"{where} {written!r}: expected local, ray or ray=ADDRESS")
    if name == "ray":
        return _on_ray(where, address or None, actors.value)
    if actors.value is not None:
        raise pytest.UsageError(f"{actors.where} is for --coherence-engine ray; the local engine has none")
    return LocalExecutor


def _on_ray(where: str, address: str | None, actors: int | None) -> MakeExecutor:
    if find_spec("ray") is None:
        raise pytest.UsageError(
            f"{where} ray needs Ray, which is not installed: pip install 'pytest-coherence[ray]'"
        )

    def make(artefacts: Artefacts, store: Store, warn: Warn) -> Executor:
        # Imported here because Ray takes a second, and only what is missing in the store needs it.
        from coherence.engine.executors.ray import RayExecutor

        return RayExecutor(artefacts, store, warn, address=address, actors=actors)

    return make
