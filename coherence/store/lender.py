"""A store that values are taken from and nothing is written to, such as one on a network's file system."""

from pathlib import Path

from coherence.errors import StoreError
from coherence.plan import Value
from coherence.store.entry import DamagedError, read
from coherence.store.store_layout import LAYOUT, place_of, require_layout

_FLAG = "--coherence-store-from"


class Lender:
    """Somebody else's store, of which only whole entries are taken: each is verified when it is read.

    A folder that is no store, or one of a newer layout, raises a StoreError. What is damaged or cannot be
    read counts as absent, and is remarked on.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lent = 0
        self._damaged: dict[Path, str] = {}
        self._remarked = 0
        try:
            require_layout(root, _FLAG)
            is_store = (root / LAYOUT).is_dir()
        except OSError as problem:
            raise StoreError(f"{root} cannot be read as a store: {problem.strerror or problem}") from None
        if not is_store:
            raise StoreError(
                f"there is no store in {root}; expected a folder that a run measured into, "
                f"with {LAYOUT} in it"
            )

    def get(self, manifest: str) -> Value | None:
        """Return the value of the entry with this manifest, or None."""
        path = place_of(self.root / LAYOUT, manifest)
        try:
            stored, value = read(path)
            if stored != manifest:
                raise DamagedError("its name is not the sha256 of its key")
        except FileNotFoundError:
            return None
        except DamagedError as problem:
            self._damaged[path] = str(problem)
            return None
        except OSError as problem:
            self._damaged[path] = f"it cannot be read: {problem.strerror or problem}"
            return None
        self.lent += 1
        return value

    def remarks(self) -> list[str]:
        """Say which entries were of no use since this was last asked: a sentence, or none."""
        new = list(self._damaged.items())[self._remarked :]
        self._remarked = len(self._damaged)
        if not new:
            return []
        path, reason = new[0]
        more = f", and {len(new) - 1} more" if len(new) > 1 else ""
        return [f"not taken from the store {self.root}: {path.name}: {reason}{more}; measured anew"]
