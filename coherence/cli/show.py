"""How commands speak: sentences to standard error, tables for people or logs to standard output."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import RenderableType


def tell(sentence: str) -> None:
    """Say something beside the output."""
    print(f"coherence: {sentence}", file=sys.stderr)


def show(drawn: "Callable[[Box], RenderableType]", width: int) -> None:
    """Lines and colours for people; in logs plain text of a width of its own."""
    from rich.box import ASCII, SIMPLE_HEAD
    from rich.console import Console

    from coherence.reports.plain import rendered

    console = Console()
    if console.is_terminal:
        console.print(drawn(SIMPLE_HEAD))
    else:
        print(rendered(drawn(ASCII), width))
