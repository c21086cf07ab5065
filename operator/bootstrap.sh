#!/bin/sh
# Create .venv, the environment of the operator, the CLI and developers, from pinned requirements. Needs Python 3.11 or
# newer and the package registry; on Debian the venv module is a separate package, installed here if we are root.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-$(command -v python3.11 || command -v python3)}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $python is $("$python" --version), expected Python 3.11 or newer; name one in PYTHON" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
    else
        echo "error: $python cannot create virtual environments; install python3-venv" >&2
        exit 1
    fi
fi
echo "creating .venv (pinned requirements, about half a minute)"
"$python" -m venv --clear .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
projects=$(PYTHONPATH=cluster "$python" -m fairlead_cluster installed)
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    $(for project in $projects; do echo "-e $project"; done)
touch .venv/.ready
