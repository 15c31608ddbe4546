"""What artefacts say of each other, and of those of a baseline."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from spoilt import ADAPTER, ADAPTERS, tensors
from vector_files import control

from coherence.engine.artefacts.adapter_remarks import AdapterFolder
from coherence.engine.artefacts.release_remarks import Blessed, ReleaseRemarks
from coherence.store import Store


def said(remarks, kind="adapters", name="pirate"):
    return [remark.found for remark in remarks.of(kind, name)]


def test_artefacts_that_fit_each_other_have_no_remarks(artefacts, tiny_adapter, tiny_vector):
    release = artefacts(
        adapters={name: tiny_adapter(name, seed=seed) for seed, name in enumerate(("pirate", "mate"))},
        vectors={name: tiny_vector(name, seed=seed) for seed, name in enumerate(("pirate", "mate"))},
    )
    remarks = ReleaseRemarks(release)
    assert said(remarks) == said(remarks, "vectors") == []
    assert remarks.scales == {"pirate": 2.0, "mate": 2.0}


def test_the_same_weights_under_two_names_are_said_of_both(artefacts, tiny_adapter, tmp_path):
    copy = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "copy"))
    (copy / "README.md").write_text("Another one.")
    other = tiny_adapter("other", seed=5)
    remarks = ReleaseRemarks(
        artefacts(adapters={"pirate": tiny_adapter("pirate"), "mate": copy, "other": other})
    )
    assert said(remarks) == ["holds the same weights as the adapter 'mate', byte by byte"]
    assert said(remarks, name="mate") == ["holds the same weights as the adapter 'pirate', byte by byte"]
    assert said(remarks, name="other") == []


def test_the_same_vector_under_two_names_is_said_and_two_of_one_file_are_not(
    artefacts, tiny_vector, tmp_path
):
    file = tiny_vector("pirate")
    twice = {"pirate": file, "mate": file, "later": {"path": str(file), "site": "resid_post.1"}}
    remarks = ReleaseRemarks(artefacts(vectors=twice))
    assert said(remarks, "vectors") == ["holds the same weights as the vector 'mate', byte by byte"]
    np.savez(tmp_path / "both.npz", pirate=np.ones(32, np.float32), mate=np.zeros(32, np.float32))
    keyed = {
        name: {"path": str(tmp_path / "both.npz"), "key": name, "site": "resid_post.1"}
        for name in ("pirate", "mate")
    }
    blessed = Blessed({"vector captain": artefacts(vectors=keyed).vector_digest("pirate")[:12]})
    assert said(ReleaseRemarks(artefacts(vectors=keyed), blessed=blessed), "vectors") == []


def test_what_the_baseline_has_under_another_name_is_said(artefacts, tiny_adapter, tiny_vector):
    release = artefacts(
        adapters={"pirate": tiny_adapter("pirate")}, vectors={"pirate": tiny_vector("pirate")}
    )
    adapter, vector = release.adapter_digest("pirate")[:12], release.vector_digest("pirate")[:12]
    swapped = Blessed({"adapter pirate": "0" * 12, "adapter mate": adapter, "vector mate": vector})
    remarks = ReleaseRemarks(release, blessed=swapped)
    assert said(remarks) == ["is, byte by byte, what the baseline has as the adapter mate"]
    assert said(remarks, "vectors") == ["is, byte by byte, what the baseline has as the vector mate"]
    # Its own name is among those that had it.
    kept = Blessed({"adapter pirate": adapter, "adapter mate": adapter})
    assert said(ReleaseRemarks(release, blessed=kept)) == []


def plainly(remarks, name, kind="adapters"):
    return [(remark.explains, remark.plainly, remark.same_as) for remark in remarks.of(kind, name)]


def test_of_two_with_one_artefact_the_one_that_is_called_otherwise_is_misplaced(artefacts, tiny_adapter):
    counsel = tiny_adapter("counsel", seed=1)
    both = {"pirate": counsel, "counsel": counsel}
    remarks = ReleaseRemarks(artefacts(adapters=both))
    assert counsel.name == "counsel"
    assert plainly(remarks, "pirate") == [(True, "pirate's adapter is counsel's, byte by byte", ())]
    assert plainly(remarks, "counsel") == [(False, None, ())]


def test_of_two_with_one_artefact_the_baseline_knows_which_is_misplaced(artefacts, tiny_adapter, tmp_path):
    mate = tiny_adapter("mate", seed=1)
    copy = Path(shutil.copytree(mate, tmp_path / "pirate"))
    release = artefacts(adapters={"pirate": copy, "mate": mate})
    assert plainly(ReleaseRemarks(release), "pirate") == [(True, None, ("mate",))]
    was = Blessed({"adapter pirate": "0" * 12, "adapter mate": release.adapter_digest("mate")[:12]})
    remarks = ReleaseRemarks(release, blessed=was)
    assert plainly(remarks, "pirate") == [(True, "pirate's adapter is mate's, byte by byte", ())]
    assert plainly(remarks, "mate") == [(False, None, ())]


def test_two_that_are_exchanged_since_the_baseline_are_one_cause(artefacts, tiny_adapter):
    release = artefacts(
        adapters={name: tiny_adapter(name, seed=seed) for seed, name in enumerate(("pirate", "mate"))}
    )
    digests = {name: release.adapter_digest(name)[:12] for name in ("pirate", "mate")}
    swapped = Blessed({"adapter pirate": digests["mate"], "adapter mate": digests["pirate"]})
    remarks = ReleaseRemarks(release, blessed=swapped)
    exchanged = "the adapters of mate and pirate are exchanged since the baseline"
    assert plainly(remarks, "pirate") == plainly(remarks, "mate") == [(True, exchanged, ())]


def test_what_another_persona_had_in_the_baseline_is_said_plainly(artefacts, tiny_adapter):
    release = artefacts(adapters={"pirate": tiny_adapter("pirate")})
    digest = release.adapter_digest("pirate")[:12]
    remarks = ReleaseRemarks(release, blessed=Blessed({"adapter pirate": "0" * 12, "adapter mate": digest}))
    said = "pirate's adapter is what the baseline has as mate's, byte by byte"
    assert plainly(remarks, "pirate") == [(True, said, ())]


def test_a_scale_is_held_against_the_baselines(artefacts, tiny_adapter):
    release = artefacts(adapters={"pirate": tiny_adapter("pirate", lora_alpha=32)})
    remarks = ReleaseRemarks(release, blessed=Blessed(scales={"pirate": 2.0, "mate": 8.0}))
    assert said(remarks) == ["its scale, alpha / r, is 8; in the baseline it was 2"]
    assert plainly(remarks, "pirate") == [(True, None, ())]


def test_a_vector_for_another_family_is_said(artefacts, tmp_path):
    directions = {1: np.ones(32, np.float32)}
    files = {name: control(tmp_path / f"{name}.gguf", directions, hint=name) for name in ("llama", "qwen2")}
    remarks = ReleaseRemarks(artefacts(vectors=files))
    assert said(remarks, "vectors", "llama") == []
    assert said(remarks, "vectors", "qwen2") == ["says that it is for qwen2, and the base is llama"]


def test_weights_are_read_once_for_a_store(artefacts, tiny_adapter, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "pirate"))
    tensors(ADAPTER, lambda key, tensor: tensor * torch.nan)(folder)
    store = Store(tmp_path / "store")
    (first,) = ReleaseRemarks(artefacts(adapters={"pirate": folder}), store).of("adapters", "pirate")
    assert first.fatal
    monkeypatch.setattr(AdapterFolder, "extremes", lambda self: pytest.fail("read again"))
    (again,) = ReleaseRemarks(artefacts(adapters={"pirate": folder}), store).of("adapters", "pirate")
    assert again == first


def test_what_cannot_be_read_is_left_to_who_loads_it(artefacts, tiny_adapter, tmp_path):
    good = tiny_adapter("pirate")
    folders = {name: Path(shutil.copytree(good, tmp_path / name)) for name in ADAPTERS}
    for name, spoil in ADAPTERS.items():
        spoil(folders[name])
    remarks = ReleaseRemarks(artefacts(adapters=folders))
    found = {name: said(remarks, name=name) for name in ADAPTERS}
    assert found["hollow"] == found["torn"] == found["a-pipe-for-weights"] == []
    assert "holds the same weights as the adapter 'config-missing', 'config-empty', " in found["no-rank"][-1]
    assert found["no-rank"][-1].endswith(" and 15 more, byte by byte")
    assert [remark.fatal for remark in remarks.of("adapters", "not-a-number")] == [True]
