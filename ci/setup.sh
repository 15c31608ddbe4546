#!/usr/bin/env bash
# Make .venv: the pinned dependencies and this project, editable. Does nothing when nothing has changed.
# PYTHON names the interpreter (default: python3).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
stamp=.venv/made-from

die() {
  echo "setup: $1" >&2
  exit 1
}

command -v "$python" >/dev/null || die "there is no $python here; install Python 3.11 or newer, or set PYTHON to one."
version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
made_from=$(printf '%s\n' "$version" "$PWD" && cat ci/requirements.txt pyproject.toml)
if [[ -x .venv/bin/python && -f $stamp && $(<"$stamp") == "$made_from" ]]; then
  exit 0
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "$python is Python $version; expected 3.11 or newer (PYTHON can name another)."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  die "$python lacks the venv module; install it (on Debian and Ubuntu: the python3-venv package)."

echo "setup: installing into .venv, which takes some minutes the first time." >&2
"$python" -m venv --clear .venv
pip=(.venv/bin/python -m pip -qq --disable-pip-version-check --no-input)
# Python compiles what is imported when it is, in both processes of the tests: a third of what is installed.
"${pip[@]}" install --no-compile --requirement ci/requirements.txt
"${pip[@]}" install --no-deps --no-build-isolation --editable .
echo "$made_from" >"$stamp"
