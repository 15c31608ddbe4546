"""A release: the artefacts under test. The suite stays, releases change."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from coherence.vocabulary.site import Position, Site

REFERENCE = "reference"

Dtype = Literal["float32", "bfloat16", "float16"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
Layers = Literal["hidden_states", "block_outputs", "block_inputs"]

# Endings of the files that vectors are read from.
VECTOR_FILES = (".gguf", ".npy", ".npz", ".pt", ".safetensors")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Extraction(_Frozen):
    """A vector made by the suite itself: mean difference of two prompts (arXiv 2507.21509)."""

    persona: str = Field(description="Its prompt is the positive side.")
    against: str | None = Field(
        None, description="Persona on the negative side; default: the neutral prompt."
    )
    site: Site
    position: Position = Position.RESPONSE_MEAN
    under: str | None = Field(
        None, description="Adapter of the release that both sides are read under; default: bare weights."
    )


def _key(written: object) -> object:
    return str(written) if isinstance(written, int) and not isinstance(written, bool) else written


class VectorSource(_Frozen):
    """A steering vector: a file, with what it leaves open, or an extraction."""

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

    @model_validator(mode="after")
    def _one_origin(self) -> "VectorSource":
        if (self.path is None) == (self.extract is None):
            raise ValueError("a vector has either a path or an extract, and not both")
        if self.extract and (self.key or self.site or self.layers):
            raise ValueError("`key`, `site` and `layers` are of a file; an extract has a `site` of its own")
        return self


def _vector(written: object) -> object:
    return {"path": written} if isinstance(written, str) else written


class Release(_Frozen):
    """Base model, adapters and vectors: hub ids, or local paths relative to the file that names them."""

    base: str = Field(REFERENCE, description="Hub id, local folder, or `reference` for the embedded default.")
    dtype: Dtype = "float32"
    adapters: dict[Name, str] = Field(default_factory=dict, description="Name to PEFT LoRA folder or hub id.")
    vectors: dict[
        Name, Annotated[VectorSource, BeforeValidator(_vector, json_schema_input_type=VectorSource | str)]
    ] = Field(default_factory=dict, description="Name to vector file or extraction.")
