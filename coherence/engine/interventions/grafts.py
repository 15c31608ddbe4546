"""Grafts: adapters whose modules and weights take the place of the base's while whole batches run."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import ParamWrapper
from torch import Tensor, nn

from coherence.engine.batch.rows import Weights
from coherence.errors import MeasurementError

Wiring = dict[nn.Module, dict[str, nn.Module | None]]
"""The children of every module by name: what a model is made of, apart from its weights."""

Place = tuple[nn.Module, str]
"""A module of the base, and the name of one of its children."""


@dataclass(frozen=True, eq=False)
class Dial:
    """A parameter with which a graft does nothing at `neutral`, and all that it does at `trained`."""

    parameter: Tensor
    trained: Tensor
    neutral: Tensor | float

    def turn(self, weight: float) -> None:
        """Let the parameter of a graft's own module do its part so many times."""
        if weight != 1:
            self.parameter.data = self.neutral + weight * (self.trained - self.neutral)

    def add(self, weight: float) -> None:
        """Add the change to what a parameter of the base is by now."""
        held = self.parameter.data
        untouched = isinstance(self.neutral, Tensor) and held.data_ptr() == self.neutral.data_ptr()
        whole = untouched and weight == 1
        self.parameter.data = self.trained if whole else held + weight * (self.trained - self.neutral)


@dataclass(frozen=True, eq=False)
class Graft:
    """What an adapter puts in, by place, and the weights of the base that are others under it.

    `kind` is what PEFT calls it. `dials` of its modules make it weaker or stronger; with None it is there or
    not. `tokens` are ids that have embeddings of their own under it.
    """

    kind: str
    modules: Mapping[Place, nn.Module]
    dials: Sequence[Dial] | None
    weights: Sequence[Dial] = ()
    tokens: tuple[int, ...] = ()


class Grafts:
    """The grafts of a model, and those of them that are in it; without any it is the base, bit for bit.

    LoRA layers that stay in the model lie beneath the modules of grafts. Of several grafts the first is the
    outermost: what changes the input of a module does so in the order in which PEFT does.
    """

    def __init__(self, model: nn.Module) -> None:
        self.wiring = wiring(model)
        self.weights: dict[str, Tensor] = model.state_dict(keep_vars=True)
        self._grafts: dict[str, Graft] = {}
        # Modules that compute their output without the module beneath them.
        self._anew: set[nn.Module] = set()
        self._put: Weights = ()
        self._undo = ExitStack()

    @property
    def is_of_skeleton(self) -> bool:
        """Whether the model has no weights, but only their shapes."""
        return all(weight.is_meta for weight in self.weights.values())

    def add(self, name: str, graft: Graft) -> None:
        """Add a graft; it is not put in yet."""
        self._grafts[name] = graft

    def tokens(self, name: str) -> tuple[int, ...]:
        """Ids of the tokens that have embeddings of their own under an adapter."""
        return self._grafts[name].tokens if name in self._grafts else ()

    def split(self, weights: Weights) -> tuple[Weights, Weights]:
        """Split adapters into those that are no grafts, and those that are."""
        others = tuple(one for one in weights if one[0] not in self._grafts)
        return others, tuple(one for one in weights if one[0] in self._grafts)

    def kind(self, name: str) -> str:
        """Return what PEFT calls the kind of a graft; nothing where there is none of that name."""
        return self._grafts[name].kind if name in self._grafts else ""

    def require_scales(self, weights: Weights) -> None:
        """Refuse weights other than 0 and 1 of what is there or not, with a MeasurementError."""
        for name, weight in _summed(weights).items():
            graft = self._grafts.get(name)
            if graft and graft.dials is None and weight not in (0, 1):
                raise MeasurementError(
                    f"adapter {name!r} cannot be put in {weight:g} times: {graft.kind} has no scale; "
                    "expected it whole, or not at all"
                )

    @contextmanager
    def put(self, weights: Weights) -> Iterator[None]:
        """Put these grafts into the model, and no others; what was in it before is back afterwards.

        A MeasurementError says why they cannot be put in so, or together.
        """
        before = self._put
        try:
            self._set(weights)
            yield
        finally:
            self._set(before)

    def try_out(self, name: str, run: Callable[[], Tensor]) -> Tensor:
        """Run what puts an adapter in, to find which modules of a graft compute anew what is beneath them."""
        modules = self._grafts[name].modules if name in self._grafts else {}
        with ExitStack() as hooks:
            for place, module in modules.items():
                trial = self._trial_over(self._own(place))
                hooks.callback(module.register_forward_hook(trial, with_kwargs=True).remove)
            return run()

    def _trial_over(self, own: nn.Module) -> Callable[..., None]:
        def run_again(
            module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: Tensor
        ) -> None:
            # Some ask the module beneath them, and make nothing of its answer.
            handle = own.register_forward_hook(lambda module, args, answer: torch.zeros_like(answer))
            try:
                if torch.equal(module.forward(*args, **kwargs), output):
                    self._anew.add(module)
            finally:
                handle.remove()

        return run_again

    def _set(self, weights: Weights) -> None:
        if weights == self._put:
            return
        self.require_scales(weights)
        with writing():
            self._put = ()
            self._undo.close()
            whole = {name: weight for name, weight in _summed(weights).items() if weight}
            innermost_first = [*reversed(whole)]
            innermost_first.sort(key=self._passes_on)
            with ExitStack() as undo:
                for name in innermost_first:
                    self._put_in(name, whole[name], undo)
                self._undo = undo.pop_all()
        self._put = weights

    def _passes_on(self, name: str) -> bool:
        return self._anew.isdisjoint(self._grafts[name].modules.values())

    def _put_in(self, name: str, weight: float, undo: ExitStack) -> None:
        graft = self._grafts[name]
        for dial in graft.dials or ():
            undo.callback(setattr, dial.parameter, "data", dial.parameter.data)
            dial.turn(weight)
        for dial in graft.weights:
            undo.callback(setattr, dial.parameter, "data", dial.parameter.data)
            dial.add(weight)
        for place, module in graft.modules.items():
            beneath = place[0]._modules[place[1]]
            assert beneath is not None
            own = self._own(place)
            others = beneath is not own and _acts(beneath)
            if module in self._anew and others:
                raise MeasurementError(
                    f"adapter {name!r} ({graft.kind}) cannot be put in beside others: it computes anew what "
                    f"they change ({place[1]}); expected adapters of other modules, or of kinds that add to "
                    "what is there"
                )
            if doubled := sorted(_parameters_of(module) & _parameters_of(beneath)):
                # PEFT reads a parameter once while a module runs: what lies beneath would be left out.
                raise MeasurementError(
                    f"adapter {name!r} cannot be put in beside another that changes the same parameter "
                    f"({place[1]}.{doubled[0]}, by target_parameters); expected adapters of other parameters"
                )
            for holder, key in _holders(module, own) if others else ():
                _replace(holder, key, beneath, undo)
            _replace(*place, module, undo)

    def _own(self, place: Place) -> nn.Module:
        own = self.wiring[place[0]][place[1]]
        assert own is not None
        return own


def wiring(model: nn.Module) -> Wiring:
    """Return what a model is made of by now."""
    return {module: dict(module._modules) for module in model.modules()}


@contextmanager
def rewired(made_of: Wiring) -> Iterator[None]:
    """Let modules have these children for a while."""
    held = {module: dict(module._modules) for module in made_of}
    try:
        for module, children in made_of.items():
            module._modules = dict(children)
        yield
    finally:
        for module, children in held.items():
            module._modules = children


@contextmanager
def unmounted(model: nn.Module) -> Iterator[None]:
    """Let PEFT take a model for one without adapters."""
    held = vars(model).pop("peft_config", None)
    try:
        yield
    finally:
        vars(model).pop("peft_config", None)
        if held is not None:
            vars(model)["peft_config"] = held


@contextmanager
def writing() -> Iterator[None]:
    """Write to weights inside: what is written in inference mode could be used nowhere else."""
    with torch.inference_mode(mode=False), torch.no_grad():
        yield


def _summed(weights: Weights) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for name, weight in weights:
        total[name] += weight
    return total


def _replace(holder: nn.Module, key: str, module: nn.Module, undo: ExitStack) -> None:
    undo.callback(holder._modules.__setitem__, key, holder._modules[key])
    holder._modules[key] = module


def _holders(module: nn.Module, own: nn.Module) -> list[Place]:
    """Find where a graft's module keeps the module of the base that it was made for."""
    children = ((holder, *child) for holder in module.modules() for child in holder._modules.items())
    return [(holder, key) for holder, key, child in children if child is own]


def _parameters_of(module: nn.Module) -> set[str]:
    """Names of the single parameters that parts of a graft's module change."""
    return {str(part.parameter_name) for part in module.modules() if isinstance(part, ParamWrapper)}


def _acts(module: nn.Module) -> bool:
    """Whether a module in the place of one of the base's does anything."""
    lies_idle = isinstance(module, LoraLayer) and (module.disable_adapters or not module.active_adapters)
    return not lies_idle
