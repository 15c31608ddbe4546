"""A merged model is the base under its adapter, as a whole model that can be a release's checkpoint."""

import pytest
import torch

from coherence.engine.model.host import Host
from coherence.errors import ArtefactError
from coherence.exports.merged_model import write_merged_model

IDS = torch.tensor([[5, 9, 40, 41, 7, 8]])


def logits(host, *weights):
    with host.switched(weights):
        return host.model(input_ids=IDS).logits


@pytest.mark.parametrize(("dtype", "apart"), [("float32", 1e-4), ("bfloat16", 0.2)])
@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_it_reads_back_as_a_checkpoint_that_does_the_same(
    tiny_adapter, mounted, host, tmp_path, dtype, apart, settings
):
    adapter = tiny_adapter("pirate", **settings)
    _, peft, tokenizer = mounted(adapter)
    write_merged_model(tmp_path / "merged", peft, "pirate", tokenizer, dtype)
    host.mount("pirate", adapter)
    # Without a remark: tokenizer and chat template are the base's.
    assert host.mount("merged", tmp_path / "merged") == ""
    effect = logits(host, ("pirate", 1.0)) - logits(host)
    left = logits(host, ("merged", 1.0)) - logits(host, ("pirate", 1.0))
    assert left.norm() < apart * effect.norm()
    assert (left.norm() > 1e-3 * effect.norm()) == (dtype == "bfloat16")


def test_it_is_a_base_as_well(tiny_adapter, mounted, host, tmp_path):
    adapter = tiny_adapter("pirate")
    _, peft, tokenizer = mounted(adapter)
    write_merged_model(tmp_path / "merged", peft, "pirate", tokenizer, "float32")
    host.mount("pirate", adapter)
    own = Host.load(tmp_path / "merged", "float32")
    torch.testing.assert_close(logits(own), logits(host, ("pirate", 1.0)), atol=1e-4, rtol=1e-4)
    assert not list(tmp_path.glob(".*"))


def test_what_peft_does_not_have_in_its_layers_is_not_merged(tiny_adapter, mounted, tmp_path):
    _, peft, tokenizer = mounted(tiny_adapter("pirate", modules_to_save=["lm_head"]))
    with pytest.raises(ArtefactError, match="is no LoRA that PEFT has in its layers"):
        write_merged_model(tmp_path / "merged", peft, "pirate", tokenizer, "float32")
    assert not list(tmp_path.iterdir())
