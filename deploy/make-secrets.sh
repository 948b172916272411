#!/bin/sh
# Make the secrets of compose.yaml that are missing, in secrets/ beside it: `sudo deploy/make-secrets.sh`.
#
# A secret that exists is left alone. Compose mounts the files as they are, so each belongs to the user that reads it
# in its container and to nobody else; only root can give a file away.
set -eu

cd "$(dirname "$0")"
if [ "$(id -u)" != 0 ]; then
    echo "make-secrets.sh gives each file to the user of its container: run it as root, such as with sudo." >&2
    exit 1
fi
umask 077
mkdir -p secrets
chmod 0711 secrets

# make NAME USER COMMAND…: the file secrets/NAME, owned by USER, holds what COMMAND says.
make() {
    name=$1 user=$2
    shift 2
    if [ -s "secrets/$name" ]; then
        echo "secrets/$name: there already, left as it is"
    else
        "$@" > "secrets/.$name"
        chown "$user" "secrets/.$name"
        chmod 0400 "secrets/.$name"
        mv "secrets/.$name" "secrets/$name"
        echo "secrets/$name: made"
    fi
}
make master.key 10001 head -c 32 /dev/urandom
make grafana-admin-password 472 sh -c 'head -c 24 /dev/urandom | base64 | tr "+/" "-_"'
