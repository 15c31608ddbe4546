"""What the files of one suite may take, all together."""

from errno import EFBIG, EMFILE
from pathlib import Path

from coherence import limits
from coherence.files import read_file


class Quota:
    """Files, bytes, values and probes that a suite may still have."""

    def __init__(self) -> None:
        self._files = limits.SUITE_FILES
        self._bytes = limits.SUITE_BYTES
        self.values = limits.VALUES
        self.probes = limits.PROBES

    def read(self, path: Path) -> bytes:
        """Read one more file. An OSError says why it cannot be read, or that the suite becomes too large."""
        if not self._files:
            raise OSError(EMFILE, f"the suite has more than {limits.SUITE_FILES} files", str(path))
        try:
            content = read_file(path, self._bytes)
        except OSError as problem:
            if problem.errno == EFBIG:
                problem.strerror = f"the suite has more than {limits.SUITE_BYTES:,} bytes in its files"
            raise
        self._files -= 1
        self._bytes -= len(content)
        return content
