#!/bin/sh
# Install the peers of `make bench`: Debian's PostgreSQL with PostGIS. Needs root; never asks for it by itself.
set -eu
if [ "$(id -u)" != 0 ]; then
    echo "As root, run: apt-get update && apt-get install --yes postgresql postgis postgresql-postgis" >&2
    exit 1
fi
apt-get update
# the server is started by the benchmark itself, on a socket of its own
DEBIAN_FRONTEND=noninteractive apt-get install --yes postgresql postgresql-postgis
