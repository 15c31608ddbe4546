"""Another model than the release's, which is run here or asked over HTTP."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class OtherModel(BaseModel):
    """Where another model is: a hub id or folder here, or a name that a server has for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        min_length=1,
        description="Hub id or local folder of a model that is run here, or `reference`; with `url`, the "
        "server's name of it.",
    )
    url: str | None = Field(
        None,
        description="Root of an API of OpenAI's protocol, with or without `/v1`; a judge takes one with "
        "log-probabilities. Nothing else is talked to.",
    )
    key_env: str | None = Field(
        None, description="The variable of the environment that has the server's key. It stands nowhere else."
    )

    @model_validator(mode="after")
    def _one_place(self) -> "OtherModel":
        if self.key_env and not self.url:
            raise ValueError("`key_env` is of a server; expected `url` beside it")
        return self

    def __str__(self) -> str:
        return f"{self.model} at {self.url}" if self.url else self.model
