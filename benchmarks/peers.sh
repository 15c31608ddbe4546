#!/usr/bin/env bash
# Make the peers' environment: their pins (transformers below 5, numpy below 2) conflict with ours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

python="${PYTHON:-python3}"
test -x .venv-peers/bin/python || "$python" -m venv .venv-peers
# torch is named first, so that the build for CPUs is taken where the package index has one.
.venv-peers/bin/pip install -qq torch==2.13.0 steering-vectors==0.12.2 repeng==0.4.0 \
  transformers==4.57.6 numpy==1.26.4
