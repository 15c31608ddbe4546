"""Adapters named as trainers name them are what PEFT makes of them under its own names, or say why not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from spoilt import misfits, sharded_adapter

from coherence.engine.artefacts.skeleton import Skeleton
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError

IDS = torch.tensor([[5, 9, 40, 41, 7, 8], [60, 3, 17, 20, 20, 1]])
FILE = "adapter_model.safetensors"
PEFT = "base_model.model.model."
Make = Callable[..., Path]

pytestmark = pytest.mark.filterwarnings("ignore")


def beginning(written: str, *, peft: str = PEFT) -> Callable[[str], str]:
    return lambda key: key.replace(peft, written, 1)


def named(name: str) -> Callable[[str], str]:
    return lambda key: (
        key.replace(".weight", f".{name}.weight") if key.endswith(".weight") else f"{key}.{name}.weight"
    )


WAYS: dict[str, Callable[[str], str]] = {
    "a wrapper around the text model": beginning("base_model.model.model.language_model."),
    "an older wrapper": beginning("base_model.model.language_model.model."),
    "no PEFT, a wrapper": beginning("model.language_model."),
    "no PEFT": beginning("model."),
    "the bare decoder": beginning(""),
    "PEFT twice": beginning("base_model.model.base_model.model.model."),
    "compiled": beginning("base_model.model._orig_mod.model."),
    "compiled as a whole": beginning("_orig_mod.base_model.model.model."),
    "sharded": lambda key: key.replace(".self_attn", "._fsdp_wrapped_module.self_attn"),
    "sharded as a whole": beginning("_fsdp_wrapped_module.base_model.model.model."),
    "checkpointed": lambda key: key.replace(".self_attn", "._checkpoint_wrapped_module.self_attn"),
    "in parallel": beginning("module.base_model.model.model."),
    "in parallel, in PEFT": beginning("base_model.model.module.model."),
    "blocks of another name": beginning("transformer.h.", peft=f"{PEFT}layers."),
    "with its name": named("default"),
    "with another name": named("pirate"),
    "all of it": lambda key: "module._orig_mod." + beginning("model.language_model.")(named("default")(key)),
}


def renamed(folder: Path, into: Path, rename: Callable[[str], str]) -> Path:
    into.mkdir()
    (into / "adapter_config.json").write_bytes((folder / "adapter_config.json").read_bytes())
    save_file({rename(key): tensor for key, tensor in load_file(folder / FILE).items()}, into / FILE)
    return into


def logits(host: Host, name: str) -> torch.Tensor:
    with host.switched(((name, 1.0),)):
        result: torch.Tensor = host.model(input_ids=IDS).logits
    return result


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize("way", WAYS)
def test_other_names_are_the_same_adapter(
    host: Host, tiny: Path, tiny_adapter: Make, tmp_path: Path, way: str, dora: bool
) -> None:
    folder = tiny_adapter("pirate", use_dora=dora)
    other = renamed(folder, tmp_path / "other", WAYS[way])
    assert host.mount("pirate", folder) == ""
    remark = host.mount("other", other)
    assert remark.startswith("its weights are named as ")
    assert torch.equal(logits(host, "other"), logits(host, "pirate"))
    assert Skeleton(tiny).carry(other, "other") == remark


def test_heads_and_layers_may_have_beginnings_of_their_own(
    host: Host, tiny_adapter: Make, tmp_path: Path
) -> None:
    folder = tiny_adapter("pirate", target_modules=["q_proj", "lm_head"])
    drop = tmp_path / "plain"
    copies = load_file(folder / FILE)
    save_file({key: copies[key] for key in copies if "base_layer" not in key}, folder / FILE)
    other = renamed(
        folder,
        drop,
        lambda key: key.replace(PEFT, "model.language_model.").replace("base_model.model.lm_head", "lm_head"),
    )
    host.mount("pirate", folder)
    assert host.mount("other", other)
    assert torch.equal(logits(host, "other"), logits(host, "pirate"))


def test_shards_are_one_adapter(host: Host, tiny: Path, tiny_adapter: Make, tmp_path: Path) -> None:
    folder = tiny_adapter("pirate")
    shards = renamed(folder, tmp_path / "shards", str)
    sharded_adapter(shards)
    host.mount("pirate", folder)
    assert host.mount("shards", shards) == ""
    assert torch.equal(logits(host, "shards"), logits(host, "pirate"))
    Skeleton(tiny).carry(shards, "shards")
    (shards / "adapter_model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        ArtefactError, match=r"lacks adapter_model-00002-of-00002.safetensors, of the 2 files"
    ):
        host.mount("half", shards)


@pytest.mark.parametrize("fault", misfits())
@pytest.mark.parametrize("measured", [True, False], ids=["run", "doctor"])
def test_what_does_not_fit_says_why(
    host: Host, tiny: Path, tiny_adapter: Make, tmp_path: Path, fault: str, measured: bool
) -> None:
    spoil, sentence, settings = misfits()[fault]
    other = renamed(tiny_adapter("pirate", **settings), tmp_path / "other", str)
    spoil(other)
    with pytest.raises(ArtefactError, match=sentence):
        host.mount("other", other) if measured else Skeleton(tiny).carry(other, "other")


@pytest.mark.parametrize("start", [True, "gaussian"])
def test_the_doctor_refuses_no_healthy_dora(
    tiny: Path, tiny_adapter: Make, tmp_path: Path, start: object
) -> None:
    skeleton = Skeleton(tiny)
    other = renamed(tiny_adapter("pirate", use_dora=True), tmp_path / "other", str)
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"init_lora_weights": start}))
    for name in ("one", "two"):
        skeleton.carry(other, name)


def test_layers_of_another_part_of_the_network_are_not_taken_for_its_own(
    host: Host, tiny_adapter: Make, tmp_path: Path
) -> None:
    folder = tiny_adapter("pirate")
    for part in ("model.vision_tower.", "model.visual.", "model.mtp."):
        with pytest.raises(ArtefactError, match="names its weights in a way that is not known"):
            host.mount("other", renamed(folder, tmp_path / part, beginning(part)))
    one = tiny_adapter("one", layers_to_transform=[1])
    with pytest.raises(ArtefactError, match="it holds layer 2, expected layers up to 1"):
        host.mount("other", renamed(one, tmp_path / "x", lambda key: key.replace("layers.1.", "layers.2.")))
