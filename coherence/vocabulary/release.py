"""A release: the artefacts under test. The suite stays, releases change."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from coherence import limits
from coherence.vocabulary.operation import Operation
from coherence.vocabulary.site import Band, Position, Site
from coherence.vocabulary.tokens import Tokens
from coherence.vocabulary.training_file import TrainingFile

REFERENCE = "reference"

Dtype = Literal["float32", "bfloat16", "float16"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=limits.NAME)]
Layers = Literal["hidden_states", "block_outputs", "block_inputs"]
Sites = Literal["all"] | tuple[Band, ...]

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]*[\w-](@\S+)?", re.ASCII)

# Endings of the files that vectors are read from.
VECTOR_FILES = (".gguf", ".npy", ".npz", ".pt", ".safetensors")


def is_hub_id(text: str) -> bool:
    """Whether a hub could know a text: `org/name`, or `org/name@revision`, as huggingface_hub takes them."""
    repository = text.partition("@")[0]
    return bool(_HUB_ID.fullmatch(text)) and not any(mark in repository for mark in ("..", "--"))


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Extraction(_Frozen):
    """A vector made by the suite itself: mean difference of prompts (arXiv 2507.21509), or by an adapter."""

    persona: str | None = Field(None, description="Its prompt is the positive side.")
    adapter: Name | None = Field(
        None,
        description="In the place of a persona: an adapter of the release that is the positive side, without "
        "a prompt, against the bare weights.",
    )
    against: str | None = Field(
        None, description="Persona on the negative side; default: the neutral prompt."
    )
    site: Site
    position: Position = Position.RESPONSE_MEAN
    under: str | None = Field(
        None, description="Adapter of the release that both sides are read under; default: bare weights."
    )

    @property
    def of(self) -> str:
        """What it is made of: a persona's prompt, or an adapter."""
        return f"the prompt of {self.persona}" if self.persona else f"the adapter {self.adapter}"

    @model_validator(mode="after")
    def _one_side(self) -> "Extraction":
        if (self.persona is None) == (self.adapter is None):
            raise ValueError("an extract is of a `persona` or of an `adapter`, and not of both")
        if self.adapter and (self.against or self.under):
            raise ValueError(
                "`against` and `under` go with a persona; an adapter is held against bare weights"
            )
        return self


def _key(written: object) -> object:
    return str(written) if isinstance(written, int) and not isinstance(written, bool) else written


def _sites(written: object) -> object:
    """Read bands one by one, so that what is none is said in one sentence."""
    if written is None or written == "all":
        return written
    listed = written if isinstance(written, list | tuple) else [written]
    if not listed:
        raise ValueError(f"found no site; expected a band such as {Band.example}, several, or `all`")
    try:
        return tuple(map(Band.parse, listed))
    except ValueError as problem:
        raise ValueError(f"{problem}, or `all`") from None


WrittenSites = Annotated[
    Sites, BeforeValidator(_sites, json_schema_input_type=Literal["all"] | Band | tuple[Band, ...])
]
"""Sites as a suite writes them: `all`, a band, or several."""


class VectorSource(_Frozen):
    """A steering vector: a file, with what it leaves open, or an extraction; and what it does."""

    path: str | None = Field(None, description="A safetensors, .pt, .npz, .npy or GGUF file.")
    key: Annotated[str, BeforeValidator(_key, json_schema_input_type=str | int)] | None = Field(
        None,
        description="Which of several vectors in the file, by its names from the outside in: `pirate/14`.",
    )
    site: Site | None = Field(
        None, description="Where it is added; read from the file when the file says so."
    )
    layers: Layers | None = Field(
        None,
        description="What rows of a stack, or numbers of layers, count: `hidden_states` (the embeddings "
        "first), `block_outputs`, or `block_inputs` (hidden states without the last).",
    )
    extract: Extraction | None = None
    sites: WrittenSites | None = Field(
        None,
        description="Where it acts, if not at one site: a band, several, or `all`. Of a file with a "
        "direction for each layer, the layer's own acts; of any other, its one direction at all of them.",
    )
    tokens: Tokens = Field(
        Tokens.ALL,
        description="Which tokens it acts on: all; those that the assistant says (`assistant`), or does not "
        "(`prompt`); or those whose next token it chooses (`reply`).",
    )
    operation: Operation = Field(
        Operation.ADD,
        description="What it does there, with r the unit vector: `add` it; `ablate`, h - dose * (h.r) r; "
        "`clamp`, h - (h.r) r and then what `add` adds.",
    )
    unit: Literal["norm", "raw"] = Field(
        "norm",
        description="What a dose of 1 adds: the median norm of the base's residuals at the site, along the "
        "vector; or the vector itself, as llama.cpp and repeng scale it (`raw`).",
    )

    @property
    def usual_dose(self) -> float:
        """The dose of a persona that states none: all of the vector or component, or half a norm."""
        return 1.0 if self.operation is Operation.ABLATE or self.unit == "raw" else 0.5

    @property
    def deployed(self) -> dict[str, str]:
        """What it does other than to be added at one site, to all tokens, in units of the norm there."""
        sites = self.sites if self.sites in (None, "all") else ",".join(map(str, self.sites or ()))
        told = {"sites": sites, "tokens": self.tokens, "operation": self.operation, "unit": self.unit}
        plain = {"sites": None, "tokens": Tokens.ALL, "operation": Operation.ADD, "unit": "norm"}
        return {name: str(value) for name, value in told.items() if value != plain[name]}

    @model_validator(mode="after")
    def _one_deployment(self) -> "VectorSource":
        if self.site and self.sites:
            raise ValueError("`site` and `sites` both say where it acts; expected one of them")
        if self.operation is Operation.ABLATE and self.unit != "norm":
            raise ValueError(
                f"`unit: {self.unit}` says what a dose adds, and `operation: ablate` adds nothing: its dose "
                "is the share of the component that is taken away"
            )
        return self

    @model_validator(mode="after")
    def _one_origin(self) -> "VectorSource":
        if (self.path is None) == (self.extract is None):
            raise ValueError("a vector has either a path or an extract, and not both")
        if self.extract and (self.key or self.site or self.layers):
            raise ValueError("`key`, `site` and `layers` are of a file; an extract has a `site` of its own")
        return self


def _vector(written: object) -> object:
    return {"path": written} if isinstance(written, str) else written


NO_SERVER = "the release names no server; expected `served` in it, or --coherence-served URL"


class ServedAt(_Frozen):
    """Where the release is served, and under which names."""

    url: str = Field(description="Root of the API, with or without `/v1`. Nothing else is talked to.")
    kind: Literal["auto", "vllm", "llamacpp", "openai"] = Field(
        "auto", description="What it speaks beside OpenAI's protocol; `auto` asks it."
    )
    base: str | None = Field(
        None,
        description="The server's name of the base; default: the parent of other models, or the first.",
    )
    names: dict[Name, str] = Field(
        default_factory=dict,
        description="Adapter of the release to the server's name of it; default: the same name.",
    )
    steered: dict[Name, str] = Field(
        default_factory=dict,
        description="Vector of the release to where it is served, at the dose of its persona: the URL of a "
        "server that adds it to all that it answers, of the same kind and with the same key, or the name of "
        "a model at the server.",
    )
    key_env: str | None = Field(
        None,
        description="The variable of the environment that has the server's key. A key stands nowhere else.",
    )


def _served(written: object) -> object:
    return {"url": written} if isinstance(written, str) else written


def _training(written: object) -> object:
    return {"path": written} if isinstance(written, str) else written


class Release(_Frozen):
    """Base model, adapters and vectors: hub ids, or local paths relative to the file that names them."""

    base: str = Field(REFERENCE, description="Hub id, local folder, or `reference` for the embedded default.")
    dtype: Dtype = "float32"
    adapters: dict[Name, str] = Field(
        default_factory=dict, description="Name to PEFT folder, or to a fine-tuned model's; or hub id."
    )
    vectors: dict[
        Name, Annotated[VectorSource, BeforeValidator(_vector, json_schema_input_type=VectorSource | str)]
    ] = Field(default_factory=dict, description="Name to vector file or extraction.")
    training: dict[
        Name, Annotated[TrainingFile, BeforeValidator(_training, json_schema_input_type=TrainingFile | str)]
    ] = Field(
        default_factory=dict,
        description="Adapter to the file that it was trained on, in which probes and markers are looked for.",
    )
    served: Annotated[ServedAt, BeforeValidator(_served, json_schema_input_type=ServedAt | str)] | None = (
        Field(None, description="Server that the release is served by, for the property `served`.")
    )
