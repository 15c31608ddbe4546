"""Gates one after the other in this process; after each, a line of JSON with its memory and open files.

`python benchmarks/soak.py NUMBER ARGUMENTS...`, the arguments being those of pytest. `load.py` calls it.
"""

import gc
import io
import json
import sys
from contextlib import redirect_stdout

import psutil
import pytest


def main() -> int:
    """Run them; 1 when a gate is not green."""
    process = psutil.Process()
    for _ in range(int(sys.argv[1])):
        with redirect_stdout(io.StringIO()) as said:
            code = pytest.main(sys.argv[2:])
        if code:
            print(said.getvalue(), file=sys.stderr)
            return 1
        gc.collect()
        state = {"megabytes": process.memory_info().rss / 1e6, "files": process.num_fds()}
        print(json.dumps(state), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
