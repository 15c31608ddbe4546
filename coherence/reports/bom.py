"""A bill of materials of what was judged, in CycloneDX 1.6: artefacts with a digest of each file, verdicts.

A release is a machine-learning model whose parts are its artefacts (ML-BOM); its model card has the criteria.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.metadata import version
from math import isfinite
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from coherence.errors import CoherenceError
from coherence.results import Results
from coherence.vocabulary import ArtefactFiles, Criterion

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_Json = dict[str, Any]

_COMMIT = re.compile(r"(?P<owner>[^/@]+)/(?P<repository>[^/@]+)@(?P<commit>[0-9a-f]{40})")


def bill_of_materials(results: Results) -> str:
    """Return the bill as JSON, the same for the same results.

    A CoherenceError where the results name no files, or the library is not installed.
    """
    if not results.artefacts:
        raise CoherenceError(
            "the results name no files: nothing was measured, or an older version wrote them; judge the "
            "release again"
        )
    written: _Json = json.loads(_components(results))
    # What the library cannot write yet.
    written["metadata"]["component"]["modelCard"] = {
        "quantitativeAnalysis": {"performanceMetrics": list(_metrics(results))}
    }
    return json.dumps(written, indent=1)


def _components(results: Results) -> str:
    try:
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.model.tool import ToolRepository
        from cyclonedx.output.json import JsonV1Dot6
    except ImportError:
        raise CoherenceError(
            "bills of materials need cyclonedx-python-lib; install it with "
            "pip install 'pytest-coherence[bom]'"
        ) from None

    ours = Component(name="pytest-coherence", version=version("pytest-coherence"), bom_ref="pytest-coherence")
    release = Component(
        name="release",
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="release",
        properties=_properties(green=str(results.green).lower(), commit=results.commit),
    )
    parts = [_part(one) for one in results.artefacts]
    bill = Bom(
        components=[*parts, *_libraries(results)],
        serial_number=uuid5(NAMESPACE_URL, results.model_dump_json()),
        metadata=BomMetaData(
            component=release,
            tools=ToolRepository(components=[ours]),
            timestamp=datetime.fromisoformat(results.started),
        ),
    )
    bill.register_dependency(release, bill.components)
    return JsonV1Dot6(bill).output_as_string()


def _part(one: ArtefactFiles) -> "Component":
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    ref = f"{one.name} {one.digest[:12]}"
    files = [
        Component(
            name=name,
            type=ComponentType.FILE,
            bom_ref=f"{ref}/{name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        )
        for name, sha256 in one.files.items()
    ]
    vector = one.name.startswith("vector ")
    hub = _COMMIT.fullmatch(one.named)
    return Component(
        name=one.name,
        type=ComponentType.DATA if vector else ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=ref,
        purl=PackageURL("huggingface", hub["owner"], hub["repository"], hub["commit"]) if hub else None,
        components=files,
        properties=_properties(named=one.named, **(_read_by(one) if vector else {"digest": one.digest})),
    )


def _read_by(vector: ArtefactFiles) -> dict[str, str | None]:
    """Take apart what stands for a vector: the digest of its file, and what that is read by."""
    said = zip(("digest", "site", "layers", "key"), vector.digest.split(" ", 3), strict=False)
    return {name: None if value == "None" else value for name, value in said}


def _libraries(results: Results) -> "Iterator[Component]":
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    for name, number in results.versions.items():
        purl = PackageURL("pypi", None, name, number)
        yield Component(
            name=name, version=number, type=ComponentType.LIBRARY, bom_ref=f"library {name}", purl=purl
        )


def _properties(**values: str | None) -> Iterable[Any]:
    from cyclonedx.model import Property

    return [Property(name=f"coherence:{name}", value=value) for name, value in values.items() if value]


def _metrics(results: Results) -> Iterator[_Json]:
    for result in results.assertions:
        for criterion in result.evidence.criteria if result.evidence else ():
            yield _metric(criterion, f"{result.id}: {result.outcome}")


def _metric(criterion: Criterion, where: str) -> _Json:
    estimate = criterion.estimate
    bounds = {"lowerBound": estimate.low, "upperBound": estimate.high}
    interval = {end: str(value) for end, value in bounds.items() if isfinite(value)}
    metric = {"type": estimate.name, "slice": where}
    return metric | (
        {"value": str(estimate.value), "confidenceInterval": interval} if isfinite(estimate.value) else {}
    )
