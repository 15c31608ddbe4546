"""A probe: one user question, put to the model under every regime. The unit of inference."""

from pydantic import BaseModel, ConfigDict, Field


class Probe(BaseModel):
    """One question. Probes that share a `template` are resampled together (clustered intervals)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="Short ASCII name, unique within the suite.")
    text: str = Field(min_length=1, description="What the user says.")
    template: str | None = Field(None, description="Name of the template it was filled from, if any.")

    @property
    def cluster(self) -> str:
        """The group that is resampled as one: the template, or the probe itself."""
        return self.template or self.id
