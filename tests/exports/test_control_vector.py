"""A control vector is read back as what is added at each depth."""

import gguf
import numpy as np
import pytest
import torch

from coherence.engine.artefacts.vectors import load_vector
from coherence.errors import ArtefactError
from coherence.exports.control_vector import require_plain, write_control_vector
from coherence.vocabulary import Operation, Tokens, VectorSource

DRAWN = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("depths", [(2,), (2, 4)])
def test_it_reads_back_to_the_same_numbers(tmp_path, depths):
    path = tmp_path / "pirate.gguf"
    write_control_vector(path, "llama", 4, dict(zip(depths, DRAWN, strict=False)))
    read = load_vector(VectorSource(path=str(path), sites="all", unit="raw"), 32, 4, "pirate")
    assert [site.depth for site in read.directions] == [*depths]
    for values, drawn in zip(read.directions.values(), DRAWN, strict=False):
        assert np.array_equal(values, drawn.numpy())


def test_it_says_what_repeng_and_llama_cpp_say(tmp_path):
    write_control_vector(tmp_path / "pirate.gguf", "qwen2", 4, {3: DRAWN[0]})
    reader = gguf.GGUFReader(tmp_path / "pirate.gguf")
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "controlvector"
    assert fields["controlvector.model_hint"] == "qwen2"
    assert fields["controlvector.layer_count"] == 4
    # Depth 3 is the output of block 2.
    assert [tensor.name for tensor in reader.tensors] == ["direction.2"]


@pytest.mark.parametrize(("depth", "site"), [(0, "resid_pre.0"), (1, "resid_post.0")])
def test_what_llama_cpp_passes_over_is_not_written(tmp_path, depth, site):
    with pytest.raises(
        ArtefactError, match=f"acts at {site}; llama.cpp adds control vectors from resid_post.1"
    ):
        write_control_vector(tmp_path / "pirate.gguf", "llama", 4, {depth: DRAWN[0], 3: DRAWN[1]})
    assert not list(tmp_path.iterdir())


def test_other_deployments_are_not_llama_cpps():
    require_plain(VectorSource(path="v.npy"))
    with pytest.raises(ArtefactError, match=r"is to ablate; llama\.cpp adds control vectors, and no more"):
        require_plain(VectorSource(path="v.npy", operation=Operation.ABLATE))
    with pytest.raises(ArtefactError, match="acts on reply tokens; llama"):
        require_plain(VectorSource(path="v.npy", tokens=Tokens.REPLY))
