"""The shipped suites that judge artefacts, and their release, as values that a fault or a variant changes."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml
from lora import Lora
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from work import ROOT

from coherence.engine.artefacts.reference_model import reference_model
from coherence.engine.artefacts.vectors import save_vector
from coherence.plan import Condition, Scene
from coherence.suite import Overrides, Suite, load_suite
from coherence.vocabulary import Regime, Site

Values = NDArray[np.float32]

# What judges artefacts. The suite of algebra asks how they are put together, and takes as long as these.
SUITES = ("composition", "personas", "poles")
OF_SPACE = ("personas", "space/distinct", "space/space", "space/anchors")
"""What judges where personas stand among others, and the suite of each by itself."""


@dataclass
class Shipped:
    """`company` and `suites` (by file name) are what the YAML files say; `folder` takes what is made."""

    folder: Path
    seed: int
    company: dict[str, Any]
    suites: dict[str, dict[str, Any]]
    left_on: Condition | None = None

    @classmethod
    def good(cls, folder: Path, seed: int, suites: Sequence[str] = SUITES) -> "Shipped":
        """Return the good release, with absolute paths, and suites by their names."""
        files = {f"{Path(name).name}.coherence.yaml": copy.deepcopy(_suite(name)) for name in suites}
        return cls(folder, seed, copy.deepcopy(_company()), files)

    def load(self) -> list[Suite]:
        """Write the files and read them as any suite is read. What is wrong with them is a SuiteError."""
        (self.folder / "suites").mkdir()
        (self.folder / "company.yaml").write_text(yaml.safe_dump(self.company, sort_keys=False))
        for name, suite in self.suites.items():
            (self.folder / "suites" / name).write_text(yaml.safe_dump(suite, sort_keys=False))
        # The only way to a bare condition that is not bare: no suite can ask for one.
        with patch("coherence.suite.load.Scene", _haunted(self.left_on) if self.left_on else Scene):
            return [
                load_suite(self.folder / "suites" / name, Overrides(seed=self.seed)) for name in self.suites
            ]

    def persona(self, name: str) -> dict[str, Any]:
        """Return what the company's file says of a persona."""
        found: dict[str, Any] = self.company["personas"][name]
        return found

    def in_suite(self, name: str) -> dict[str, Any]:
        """Return what a suite of its own says of its release and its personas."""
        return self.suites[f"{name}.coherence.yaml"]

    def lora(self, name: str) -> Lora:
        """Read an adapter of the release."""
        return Lora.read(Path(self.company["release"]["adapters"][name]))

    def set_lora(self, name: str, changed: Lora) -> None:
        """Ship this in the place of an adapter."""
        folder = self.folder / "adapters" / name
        changed.write(folder)
        self.company["release"]["adapters"][name] = str(folder)

    def vector(self, name: str) -> tuple[Values, Site]:
        """Read a vector [width] of the release, and its site."""
        with safe_open(self.company["release"]["vectors"][name], framework="np") as file:
            return file.get_tensor("vector"), Site.parse(file.metadata()["site"])

    def set_vector(self, name: str, values: Values, site: Site) -> None:
        """Ship this in the place of a vector."""
        (self.folder / "vectors").mkdir(exist_ok=True)
        path = self.folder / "vectors" / f"{name}.safetensors"
        save_vector(path, values, site, {})
        self.company["release"]["vectors"][name] = str(path)

    def set_base(self, files: Callable[[Path], None]) -> None:
        """Ship a copy of the reference model, in which `files` has written over some files of its folder."""
        folder = self.folder / "base"
        folder.mkdir()
        for path in reference_model().iterdir():
            (folder / path.name).symlink_to(path)
        files(folder)
        self.company["release"]["base"] = str(folder)


def base_weights() -> dict[str, Tensor]:
    """Weights of the reference model by name, in float32."""
    return load_file(reference_model() / "model.safetensors")


def save_base(folder: Path, weights: Mapping[str, Tensor], name: str = "model.safetensors") -> None:
    """Write weights over those of a base's folder."""
    (folder / name).unlink(missing_ok=True)
    save_file(dict(weights), folder / name, metadata={"format": "pt"})


def write_over(path: Path, text: str) -> None:
    """Put a file in the place of one that may be a link."""
    path.unlink(missing_ok=True)
    path.write_text(text)


@cache
def _company() -> dict[str, Any]:
    fixtures = ROOT / "fixtures"
    company: dict[str, Any] = yaml.safe_load((fixtures / "company.yaml").read_text())
    _resolve(company["release"], fixtures)
    company["probes"] = str(fixtures / company["probes"])
    return company


@cache
def _suite(name: str) -> dict[str, Any]:
    path = ROOT / "suites" / f"{name}.coherence.yaml"
    suite: dict[str, Any] = yaml.safe_load(path.read_text()) | {"include": ["../company.yaml"]}
    _resolve(suite.get("release", {}), path.parent)
    if "probes" in suite:
        suite["probes"] = str((path.parent / suite["probes"]).resolve())
    return suite


def _resolve(release: dict[str, Any], folder: Path) -> None:
    """Make the paths of a release absolute, which are relative to the folder of the file that names them."""
    for kind in ("adapters", "vectors"):
        for name, path in release.get(kind, {}).items():
            # What a suite makes itself has no path.
            if isinstance(path, str):
                release[kind][name] = str((folder / path).resolve())


def _haunted(left: Condition) -> type[Scene]:
    """Make scenes whose bare model is left under the adapters and the steering of a condition."""

    class Haunted(Scene):
        @property
        def bare(self) -> Condition:
            return Condition(self.neutral, adapters=left.adapters, steers=left.steers)

        def mixture(self, weights: Mapping[str, float], regime: Regime) -> Condition:
            return super().mixture(weights, regime) if regime.layers else self.bare

    return Haunted
