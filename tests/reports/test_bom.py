"""The bill of materials: what it lists, and that it is valid by the schema of CycloneDX."""

import json
import sys
from math import inf, nan

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from judged import judged, mean, run

from coherence.cli import main
from coherence.errors import CoherenceError
from coherence.reports.bom import bill_of_materials
from coherence.vocabulary import ArtefactFiles, Criterion, Estimate

SHA = "ab" * 32
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ARTEFACTS = (
    ArtefactFiles(name="base", named=f"org/base@{COMMIT}", digest=SHA, files={"model.safetensors": SHA}),
    ArtefactFiles(name="adapter pirate", named="/models/a", digest=SHA, files={"adapter_config.json": SHA}),
    ArtefactFiles(name="adapter pirate", named="/models/b", digest=SHA[::-1], files={"b.json": SHA}),
    ArtefactFiles(name="vector pirate", named="v.pt", digest=f"{SHA} None None", files={"v.pt": SHA}),
    ArtefactFiles(name="vector made", named="extracted", digest=SHA),
)
UNDEFINED = Criterion(estimate=Estimate(name="ratio", value=nan, low=-inf, high=inf, n=3), at_least=0.5)


@pytest.fixture
def results():
    assertion = judged(mean([0.7, 0.8, 0.9]), UNDEFINED)
    return run(assertion, versions={"torch": "2.13.0"}).model_copy(update={"artefacts": ARTEFACTS})


def test_a_bill_is_valid_and_the_same_for_the_same_results(results):
    bill = bill_of_materials(results)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    assert bill_of_materials(results) == bill
    assert bill_of_materials(results.model_copy(update={"seed": 1})) != bill


def test_it_lists_artefacts_files_libraries_and_criteria(results):
    bill = json.loads(bill_of_materials(results))
    parts = {part["bom-ref"]: part for part in bill["components"]}
    assert {ref: part["type"] for ref, part in parts.items()} == {
        "base abababababab": "machine-learning-model",
        "adapter pirate abababababab": "machine-learning-model",
        "adapter pirate babababababa": "machine-learning-model",
        "vector pirate abababababab": "data",
        "vector made abababababab": "data",
        "library torch": "library",
    }
    base = parts["base abababababab"]
    assert base["purl"] == f"pkg:huggingface/org/base@{COMMIT}"
    (weights,) = base["components"]
    assert (weights["name"], weights["hashes"]) == ("model.safetensors", [{"alg": "SHA-256", "content": SHA}])
    assert parts["library torch"]["purl"] == "pkg:pypi/torch@2.13.0"
    metrics = bill["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert [metric["type"] for metric in metrics] == ["cosine", "ratio"]
    assert metrics[0]["slice"].startswith("pirate.cosine.adapter: ")
    assert float(metrics[0]["confidenceInterval"]["lowerBound"]) < float(metrics[0]["value"])
    assert "value" not in metrics[1]


def test_a_vector_has_the_digest_of_its_file_and_what_it_is_read_by(results):
    told = [f"{SHA} None None", f"{SHA} resid_post.1 hidden_states a key", SHA]
    vectors = [
        ArtefactFiles(name=f"vector {index}", named="v.pt", digest=digest, files={"v.pt": SHA})
        for index, digest in enumerate(told)
    ]
    bill = json.loads(bill_of_materials(results.model_copy(update={"artefacts": tuple(vectors)})))
    said = [
        {one["name"].removeprefix("coherence:"): one["value"] for one in part["properties"]}
        for part in bill["components"]
        if part["type"] == "data"
    ]
    whole = {"named": "v.pt", "digest": SHA}
    assert said == [
        whole,
        whole | {"site": "resid_post.1", "layers": "hidden_states", "key": "a key"},
        whole,
    ]


def test_results_without_files_make_no_bill(results):
    with pytest.raises(CoherenceError, match=r"^the results name no files"):
        bill_of_materials(results.model_copy(update={"artefacts": ()}))


def test_without_the_library_it_says_what_to_install(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "cyclonedx.model.bom", None)
    with pytest.raises(CoherenceError, match=r"pip install 'pytest-coherence\[bom\]'$"):
        bill_of_materials(results)


def test_the_command_prints_it(results, tmp_path, capsys):
    results.write(tmp_path / "results.json")
    assert main(["bom", str(tmp_path / "results.json")]) == 0
    assert capsys.readouterr().out == f"{bill_of_materials(results)}\n"
