"""`coherence store`: what is done with the store of measured values."""

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import show

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import RenderableType

    from coherence.store import Store


def _add(parser: Parser) -> None:
    shared = Parser(add_help=False)
    shared.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("ls", parents=[shared], help="show what it holds, by kind and base")
    listing.set_defaults(run=_ls)

    verify = actions.add_parser("verify", parents=[shared], help="read every entry; 1 when some are damaged")
    verify.add_argument("--remove", action="store_true", help="remove the damaged ones, to be measured again")
    verify.add_argument(
        "--artefacts",
        action="store_true",
        help="read every file whose digest is remembered, too; --remove forgets the digests that are wrong",
    )
    verify.set_defaults(run=_verify)

    prune = actions.add_parser("prune", parents=[shared], help="evict what was not used for longest")
    prune.add_argument(
        "--limit",
        type=arguments.size,
        metavar="SIZE",
        help="such as 2GB; default: COHERENCE_STORE_SIZE, or 10GB",
    )
    prune.set_defaults(run=_prune)


def _store(options: Namespace) -> "Store":
    from coherence.store import Store, store_root

    return Store(options.store or store_root())


def _ls(options: Namespace) -> Output:
    from coherence.reports.plain import cell, table
    from coherence.store.contents import contents
    from coherence.store.size import readable

    store = _store(options)
    groups = contents(store.entries())

    def shown(box: "Box") -> "RenderableType":
        columns = "kind", "base", "entries", "size", "oldest use", "newest use"
        drawn = table(*columns, numbers=("entries", "size"), box=box)
        for group in groups:
            numbers = str(group.entries), readable(group.size), _minute(group.oldest), _minute(group.newest)
            drawn.add_row(*map(cell, (group.kind, group.base[:12], *numbers)))
        return drawn

    show(shown, 100)
    entries, size = sum(group.entries for group in groups), sum(group.size for group in groups)
    print(f"{entries} entries, {readable(size)}, in {store.root}")
    every = [asdict(group) for group in groups]
    return Output({"store": store.root, "entries": entries, "bytes": size, "groups": every})


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _verify(options: Namespace) -> Output:
    store = _store(options)
    entries = len(store.entries())
    damaged = list(store.damaged())
    for path, reason in damaged:
        print(f"{path}: {reason}")
    if options.remove:
        store.remove(path for path, _ in damaged)
    removed = " and removed" if damaged and options.remove else ""
    print(f"{len(damaged)} of {entries} entries are damaged{removed}")
    wrong = _verify_artefacts(options.remove) if options.artefacts else []
    faulty = {"damaged": _named(damaged), "wrong": _named(wrong)}
    fields = {"entries": entries, **faulty, "removed": options.remove}
    return Output(fields, 1 if damaged or wrong else 0)


def _named(entries: "Iterable[tuple[Path, str]]") -> list[dict[str, str]]:
    return [{"path": str(path), "reason": reason} for path, reason in entries]


def _verify_artefacts(remove: bool) -> list[tuple[Path, str]]:
    """Say which files are not what their digests are of, and return them."""
    from coherence.engine.artefacts.digests import misremembered
    from coherence.engine.artefacts.memo import all_remembered, forget

    digests = len(list(all_remembered()))
    wrong = list(misremembered())
    for path, reason in wrong:
        print(f"{path}: {reason}")
        if remove:
            forget(path)
    forgotten = " and forgotten" if wrong and remove else ""
    print(f"{len(wrong)} of {digests} digests are wrong{forgotten}")
    return wrong


def _prune(options: Namespace) -> Output:
    from coherence.store.size import readable, store_limit

    limit = store_limit() if options.limit is None else options.limit
    pruned = _store(options).prune(limit)
    left = readable(pruned.left) + (", used in the last hour" if pruned.left > limit else "")
    print(f"{pruned.entries} entries evicted, {readable(pruned.freed)} freed; left: {left}")
    return Output({"evicted": pruned.entries, "freed_bytes": pruned.freed, "left_bytes": pruned.left})


COMMAND = Command(
    name="store",
    help="look after the store of measured values",
    about="Measured values are kept in the user's cache, by everything that they depend on. What is gone "
    "is measured again.",
    example="coherence store prune --limit 2GB",
    add=_add,
)
