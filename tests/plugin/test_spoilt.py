"""A run over spoilt artefacts: each is one assertion's error, in one sentence, and the rest is judged."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from spoilt import ADAPTERS, BASES, VECTORS

from coherence.doctor.release_checks import release as looked_at

BY_REGIME = """\
coherence: 1
release:
  base: {base}
  {kind}:
{named}
personas:
{personas}
probes: [a?, b?, c?, d?, e?, f?, g?, h?]
decoding: {{max_new_tokens: 2}}
assertions:
  - {{property: markers, between: [prompt, {regime}], min_agreement: 0, max_difference: 1,
     min_recovery: 0}}
"""
SPOILT = {"base": BASES, "adapter": ADAPTERS, "vector": VECTORS}
# What only shows when weights are loaded, or in numbers, is for the gate to see, and not for the doctor.
ONLY_MEASURED = {
    "base": {
        *("fewer-blocks", "more-blocks", "wider", "one-tensor-short", "not-a-number"),
        # Where the library is missing, that is seen.
        *(["in-four-bits"] if find_spec("bitsandbytes") else []),
    },
    "adapter": {"nothing-but-zeros", "integers"},
    "vector": set(),
}


def suite(path, base, kind, regime, artefacts):
    named = "".join(f"    {name}: {artefact}\n" for name, artefact in artefacts.items())
    personas = "".join(f"  {name}: {{prompt: Be {name}., markers: [{name}]}}\n" for name in artefacts)
    written = BY_REGIME.format(base=base, kind=kind, regime=regime, named=named, personas=personas)
    path.write_text(written)


@pytest.fixture
def spoilt(bench, tiny, tiny_adapter, tmp_path):
    """Suites in the bench's folder, and what each assertion's sentence must name, by suite and persona."""
    good, expected = tiny_adapter("good", seed=3), {}
    folders = {name: Path(shutil.copytree(good, tmp_path / "adapters" / name)) for name in ADAPTERS}
    for name, spoil in ADAPTERS.items():
        spoil(folders[name])
        expected["adapters.coherence.yaml", name] = "adapter", name
    suite(bench.path / "adapters.coherence.yaml", tiny, "adapters", "adapter", folders)
    files = {}
    for name, make in VECTORS.items():
        (tmp_path / "vectors" / name).mkdir(parents=True)
        path = make(tmp_path / "vectors" / name)
        files[name] = f"{{path: {path}, site: resid_post.1}}"
        expected["vectors.coherence.yaml", name] = "vector", name
    suite(bench.path / "vectors.coherence.yaml", tiny, "vectors", "steering", files)
    for name, spoil in BASES.items():
        folder = Path(shutil.copytree(tiny, tmp_path / "bases" / name))
        spoil(folder)
        suite(bench.path / f"{name}.coherence.yaml", folder, "adapters", "adapter", {"pirate": good})
        expected[f"{name}.coherence.yaml", "pirate"] = "base", str(folder)
    return expected


def test_spoilt_artefacts_are_errors_of_their_own(bench, spoilt):
    bench.suite("passes", name="healthy")
    run = bench.run()
    assert run.ret == 1
    printed = run.stdout.str() + run.stderr.str()
    assert "INTERNALERROR" not in printed
    assert "Traceback" not in printed
    found = {(result.suite, result.persona): result for result in bench.results().assertions}
    assert found.pop(("healthy.coherence.yaml", "release")).verdict == "pass"
    assert found.keys() == spoilt.keys()
    wrong = {
        key: (result.verdict.value, result.sentence)
        for key, result in found.items()
        if result.verdict != "error" or not named(result.sentence, *spoilt[key])
    }
    assert wrong == {}


def named(sentence, kind, name):
    """Whether it is one line that names the artefact, and the line of the suite that names it."""
    why = sentence.partition(" could not be measured: ")[2]
    placed = ".coherence.yaml:" in why.split()[0] or why.startswith("NaN or infinite activation at ")
    return placed and f"{kind} {name!r}" in why and "\n" not in why


def test_the_doctor_sees_what_can_be_seen_without_measuring(bench, spoilt):
    failed = set()
    for path in sorted(bench.path.glob("*.coherence.yaml")):
        suite = path.name.removesuffix(".coherence.yaml")
        for check in looked_at(path):
            kind, _, name = check.what.partition(" ")
            if check.state == "fail":
                failed.add((kind, name) if name else ("base", suite))
    spoilt = {(kind, name) for kind, names in SPOILT.items() for name in names}
    assert spoilt - failed == {(kind, name) for kind, names in ONLY_MEASURED.items() for name in names}
