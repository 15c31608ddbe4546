"""What the files of a base say of its chat template: read without a tokenizer, for keys and reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coherence import limits
from coherence.engine.batch.marks import marks_of
from coherence.engine.model.clock import writes_date
from coherence.engine.model.folder import CONFIG, is_gguf, json_told
from coherence.engine.model.gguf_header import GgufHeader
from coherence.errors import ArtefactError
from coherence.files import read_file
from coherence.vocabulary import Templating, Thinking


@dataclass(frozen=True)
class Template:
    """The text of a chat template, empty where there is none, and the tokens that are to end a reply."""

    text: str
    stops: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> "Template":
        """Read it. What cannot be read says nothing here: loading it says what is wrong."""
        if is_gguf(folder):
            return cls._of_gguf(folder)
        tokenizer = json_told(folder / "tokenizer_config.json")
        return cls(_text(folder, tokenizer), tuple(_stops(folder, tokenizer)))

    @classmethod
    def _of_gguf(cls, path: Path) -> "Template":
        try:
            header = GgufHeader.of(path)
        except ArtefactError:
            return cls("", ())
        return cls(header.template, (header.end,) if header.end else ())

    def writes_date(self, templating: Templating) -> bool:
        """Whether it writes a date that it is told."""
        return writes_date(self.text, templating)

    def sets_apart(self, thinking: Thinking) -> bool:
        """Whether the reasoning of a reply is looked for, to set it apart from the answer."""
        return marks_of(self.text, thinking) is not None

    @property
    def can_reason(self) -> bool:
        """Whether it takes a switch by which the model reasons, or knows marks of reasoning."""
        return "enable_thinking" in self.text or self.sets_apart("on")

    @property
    def ends_itself(self) -> bool:
        """Whether it has none of the tokens that are to end a reply: it may end one by another."""
        return bool(self.text) and not any(stop in self.text for stop in ("eos_token", *self.stops))


def _text(folder: Path, tokenizer: dict[str, Any]) -> str:
    written = folder / "chat_template.jinja"
    if written.is_file():
        return read_file(written, limits.CONFIG_BYTES).decode(errors="replace").replace("\r\n", "\n")
    beside = json_told(folder / "chat_template.json")
    template = tokenizer.get("chat_template") or beside.get("chat_template") or ""
    if isinstance(template, list):
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get("default") or ""
    return template if isinstance(template, str) else ""


def _stops(folder: Path, tokenizer: dict[str, Any]) -> Iterator[str]:
    ids = _ids(folder)
    written = tokenizer.get("added_tokens_decoder")
    listed = dict(written) if isinstance(written, dict) else {}
    if not ids <= listed.keys():
        added = json_told(folder / "tokenizer.json").get("added_tokens")
        tokens = [one for one in added if isinstance(one, dict)] if isinstance(added, list) else []
        listed |= {str(one.get("id")): one for one in tokens}
    contents = (_content(token) for token in [*map(listed.get, ids), tokenizer.get("eos_token")])
    yield from filter(None, contents)


def _ids(folder: Path) -> set[str]:
    """Return ids of tokens as JSON spells a key."""
    for name in ("generation_config.json", CONFIG):
        ids = json_told(folder / name).get("eos_token_id")
        if ids is not None:
            return set(map(str, ids if isinstance(ids, list) else [ids]))
    return set()


def _content(token: Any) -> str:  # noqa: ANN401
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else ""
