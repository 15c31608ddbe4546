"""The results of a run: one versioned JSON document, the source of every report."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from coherence.vocabulary import Evidence, Verdict

FORMAT = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class AssertionResult(_Frozen):
    """One assertion: what it asked, what was found, and whether that was expected."""

    id: str = Field(description="`<persona>.<property>.<slug>`; stable, the node id, JUnit name and baseline key.")
    persona: str
    family: str
    suite: str = Field(description="Path of the suite file, relative to the root directory, with forward slashes.")
    line: int
    verdict: Verdict
    expect: Literal["pass", "fail"] = "pass"
    sentence: str = Field(description="The verdict with its numbers, in one line.")
    evidence: Evidence | None = Field(None, description="Absent when the verdict is an error.")
    release: dict[str, str] = Field(default_factory=dict, description="Artefact name to what it was and its digest.")
    seconds: float = 0.0

    @property
    def green(self) -> bool:
        """Whether the verdict is the expected one."""
        return self.verdict == Verdict(self.expect)


class Results(_Frozen):
    """Everything a report shows."""

    format: Literal[1] = FORMAT
    started: str = Field(description="ISO 8601, UTC.")
    seconds: float
    seed: int
    versions: dict[str, str]
    assertions: tuple[AssertionResult, ...]

    def write(self, path: Path) -> None:
        """Write atomically: a reader sees the old document or the new one, never half of one."""
        write_atomically(path, self.model_dump_json(indent=1).encode())

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read a results document back."""
        return cls.model_validate_json(path.read_bytes())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step, also when interrupted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
