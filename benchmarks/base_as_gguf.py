"""Write a model as a GGUF file, in single precision: `python benchmarks/base_as_gguf.py FOLDER FILE`.

For `benchmarks/served.sh`; PYTHONPATH names the folder of the tests, which have the writer.
"""

import sys
from pathlib import Path

from gguf_base import written

if __name__ == "__main__":
    folder, file = map(Path, sys.argv[1:])
    written(folder, file)
