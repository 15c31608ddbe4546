"""Links that leave docs/ work in the repository, and name the file on the site, which does not hold it."""

import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.structure.pages import Page

LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)[^)\s]*\)")


def on_page_markdown(markdown: str, page: "Page", **_: object) -> str:
    """Put the name of a file outside docs/ in the place of its link."""
    return LINK.sub(lambda link: _named(link, dirname(page.file.src_uri)), markdown)


def _named(link: re.Match[str], folder: str) -> str:
    path = normpath(join("docs", folder, link[2]))
    if path.startswith("docs/"):
        return link[0]
    return f"`{path}`" if link[1].strip("`") == path else f"{link[1]} (`{path}`)"
