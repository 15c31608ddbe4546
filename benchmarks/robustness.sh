#!/usr/bin/env bash
# Make every table of docs/robustness.md anew, in an hour or two: `bash benchmarks/robustness.sh`.
set -euo pipefail
cd "$(dirname "$0")/.."

python benchmarks/fuzz.py --mutants 10000 --publish
for signal in TERM INT KILL; do
  python benchmarks/kills.py --signal "$signal" --moments 100 --publish
done
python benchmarks/changes.py --changes 10000 --publish
python benchmarks/load.py --publish
