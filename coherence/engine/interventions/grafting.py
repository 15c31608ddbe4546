"""From an adapter's weights to a graft: PEFT makes its modules on the base, which is as it was afterwards."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from peft import PeftConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.ln_tuning.layer import LNTuningLayer
from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import ModulesToSaveWrapper, TrainableTokensWrapper
from torch import Tensor, nn

from coherence.engine.interventions.adapter_kinds import KINDS, type_of
from coherence.engine.interventions.adapter_weights import copies, named
from coherence.engine.interventions.grafts import Dial, Graft, Grafts, Place, rewired, unmounted
from coherence.errors import ArtefactError

_Pairs = Iterator[tuple[Tensor, Tensor | float]]


def grafted(
    model: nn.Module, grafts: Grafts, config: PeftConfig, slot: str, weights: Mapping[str, Tensor]
) -> tuple[Graft, str]:
    """Make a graft for a base of an adapter's weights; a remark says how they are named, if not as by PEFT.

    `grafts` are those of the model. An ArtefactError says why the weights cannot be put in.
    """
    without_weights = grafts.is_of_skeleton
    if not without_weights and any(weight.is_meta for weight in grafts.weights.values()):
        raise ArtefactError("is more than plain LoRA on linear layers, which an offloaded base cannot carry")
    with rewired(grafts.wiring), unmounted(model):
        peft = PeftModel(model, config, adapter_name=slot, low_cpu_mem_usage=without_weights)
        expected = get_peft_model_state_dict(peft, None, slot, save_embedding_layers=False)
        of_base = _of_base(peft, grafts, expected)
        copied = {key: name for key, name in copies(weights, grafts.weights).items() if key not in expected}
        of_base |= {key: grafts.weights[name] for key, name in copied.items()}
        named_weights = named(peft, config, slot, {**expected, **of_base}, weights)
        own = {key: tensor for key, tensor in named_weights.weights.items() if key not in of_base}
        set_peft_model_state_dict(peft, own, adapter_name=slot, low_cpu_mem_usage=without_weights)
        modules = _modules(grafts)
        for module in modules.values():
            module.eval().requires_grad_(False)
        parts = {part: None for module in modules.values() for part in module.modules()}
        tokens = _trained_tokens(parts, slot)
        changed = [
            _changed(parameter, named_weights.weights[key]) for key, parameter in sorted(of_base.items())
        ]
        for place, module in () if without_weights else [*modules.items()]:
            if weights_of := _other_weights(module, slot, grafts):
                changed += [_changed(own, trained) for own, trained in weights_of]
                del modules[place]
        parts = {part: None for module in modules.values() for part in module.modules()}
        graft = Graft(type_of(config).value, modules, _dials(parts, slot, config), changed, tokens)
    return graft, named_weights.remark


def _of_base(peft: PeftModel, grafts: Grafts, expected: Iterable[str]) -> dict[str, Tensor]:
    """Find weights of an adapter that PEFT would write to the base: biases that were trained."""
    own = set(grafts.weights.values())
    places = dict(peft.named_parameters(remove_duplicate=False))
    return {key: places[key] for key in expected if key in places and places[key] in own}


def _modules(grafts: Grafts) -> dict[Place, nn.Module]:
    """Find the modules that are in the places of others by now."""
    return {
        (parent, name): child
        for parent, children in grafts.wiring.items()
        for name, child in parent._modules.items()
        if child is not None and child is not children.get(name)
    }


def _changed(parameter: Tensor, trained: Tensor) -> Dial:
    return Dial(parameter, trained.to(parameter.device, parameter.dtype), parameter.data)


def _other_weights(module: nn.Module, slot: str, grafts: Grafts) -> list[tuple[Tensor, Tensor]]:
    """Pair weights of the base with others for them, if nothing but those makes a module another.

    So several adapters that train one module whole add up. Not where the base lends its weights elsewhere.
    """
    held: Any = module
    if isinstance(module, ModulesToSaveWrapper):
        pairs = _paired(held.original_module, held.modules_to_save[slot])
    elif isinstance(module, LNTuningLayer):
        pairs = _paired(held.base_layer, held.ln_tuning_layers[slot])
    elif isinstance(module, TrainableTokensLayer | TrainableTokensWrapper):
        layer = getattr(held, "token_adapter", held)
        own = layer.get_base_layer().weight
        rows = own.detach().clone()
        rows[layer.token_indices[slot]] = layer.trainable_tokens_delta[slot].to(rows)
        pairs = [(own, rows)]
    else:
        return []
    names = [weight for weight in grafts.weights.values() for own, _ in pairs if weight is own]
    return pairs if len(names) == len(pairs) else []


def _paired(own: nn.Module, trained: nn.Module) -> list[tuple[Tensor, Tensor]]:
    base = dict(own.named_parameters())
    return [(base[name], parameter.data) for name, parameter in trained.named_parameters()]


def _trained_tokens(parts: Iterable[nn.Module], slot: str) -> tuple[int, ...]:
    layers: list[Any] = [part for part in parts if isinstance(part, TrainableTokensLayer)]
    return tuple({token: None for layer in layers for token in layer.token_indices[slot]})


def _dials(parts: Iterable[nn.Module], slot: str, config: PeftConfig) -> list[Dial] | None:
    neutral = KINDS[type_of(config)].neutral
    if neutral is None:
        return None
    modules = {
        parameter: Dial(parameter, parameter.data, value)
        for part in parts
        for parameter, value in _neutral(part, slot, neutral)
    }
    return [*modules.values()]


def _neutral(part: nn.Module, slot: str, neutral: Mapping[str, float]) -> _Pairs:
    """Yield parameters of a part of a graft's module, with the value of each at which it does nothing."""
    held: Any = part
    if isinstance(part, ModulesToSaveWrapper):
        yield from _off_base(held.original_module, held.modules_to_save[slot])
    elif isinstance(part, TrainableTokensLayer):
        yield held.trainable_tokens_delta[slot], held.trainable_tokens_original[slot]
    elif isinstance(part, LNTuningLayer):
        yield from _off_base(held.base_layer, held.ln_tuning_layers[slot])
    elif isinstance(part, BaseTunerLayer):
        for name, value in neutral.items():
            of_adapters = getattr(held, name, {})
            if slot in of_adapters:
                yield from ((parameter, value) for parameter in _parameters(of_adapters[slot]))


def _parameters(held: Tensor | nn.Module) -> list[Tensor]:
    return [held] if isinstance(held, Tensor) else [*held.parameters()]


def _off_base(own: nn.Module, trained: nn.Module) -> _Pairs:
    base = dict(own.named_parameters())
    yield from ((parameter, base[name].data) for name, parameter in trained.named_parameters())
