#!/bin/sh
# Prepare .venv for a goal: `deploy/prepare.sh demo|test`. Called by make; immediate when there is nothing to do.
#
# demo: what runs, and the JVM wheel. test: what checks it as well. Everything comes from a lock file with hashes.
# What the machine lacks is named with the line that installs it; root on Debian and Ubuntu installs it right away.
set -eu

cd "$(dirname "$0")/.."
goal=${1:-demo}
case $goal in
    demo) lock=requirements.lock ;;
    test) lock=requirements-dev.lock ;;
    *) echo "usage: deploy/prepare.sh demo|test" >&2; exit 2 ;;
esac
venv=.venv
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'

# The newest supported Python that can make a virtual environment; PYTHON overrules.
find_python() {
    for candidate in ${PYTHON:-python3.14 python3.13 python3.12 python3.11 python3}; do
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null && "$candidate" -c "$fits" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

# Kafka and the registry were fetched before: see samenloop/localstack/artefacts.py.
has_programs() {
    key=$(sha256sum deploy/local/pom.xml | cut -c1-12)
    [ -f "${XDG_CACHE_HOME:-$HOME/.cache}/samenloop/local-stack-$key/registry/quarkus-run.jar" ]
}

missing() {
    [ -n "$(find_python)" ] || echo python3-venv
    command -v mvn >/dev/null || has_programs || echo maven
    [ "$goal" = demo ] || command -v git >/dev/null || echo git
}

lacking=$(missing | tr '\n' ' ')
if [ -n "$lacking" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing what this machine lacks: $lacking"
    apt-get update -qq
    # shellcheck disable=SC2086 # several words on purpose
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $lacking >/dev/null
    lacking=$(missing | tr '\n' ' ')
fi
if [ -n "$lacking" ]; then
    echo "This machine lacks: $lacking(needed: Python 3.11 to 3.14 with venv, Maven, git). Install it:" >&2
    if command -v apt-get >/dev/null; then echo "    sudo apt-get install -y $lacking" >&2
    elif command -v dnf >/dev/null; then echo "    sudo dnf install -y python3 maven git" >&2
    elif command -v brew >/dev/null; then echo "    brew install python maven git" >&2
    fi
    exit 1
fi

# Dashboards and alerts are checked on a real Prometheus; without it those tests are skipped, and say so.
[ "$goal" = demo ] || deploy/prometheus/fetch.sh || echo "Tests that need Prometheus will be skipped." >&2

python=$(find_python)
version='import sys; print(*sys.version_info[:2])'
if ! "$venv/bin/python" -c "import pip; $fits" 2>/dev/null ||
    { [ -n "${PYTHON:-}" ] && [ "$("$venv/bin/python" -c "$version")" != "$("$python" -c "$version")" ]; }; then
    echo "Making $venv with $("$python" --version)."
    "$python" -m venv --clear "$venv"
fi

# One stamp for each goal: what was installed, by content. The test lock holds all of the other.
state() { cat "$1" pyproject.toml | sha256sum | cut -c1-64; }
stamped() { [ "$(cat "$venv/.prepared-$1" 2>/dev/null)" = "$(state "$2")" ]; }
if stamped test requirements-dev.lock || stamped "$goal" "$lock"; then
    exit 0
fi
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }
echo "Installing the packages of $lock into $venv."
pip install --require-hashes -r "$lock"
pip install --no-deps --no-build-isolation --editable .
state "$lock" > "$venv/.prepared-$goal"
