#!/bin/sh
# Fetch Debian's Prometheus and Alertmanager, with promtool and amtool, into the user's cache: nothing is installed, no
# service starts, no root is needed. Immediate when they are there. Where samenloop/localstack/prometheus.py looks.
set -eu

there="${XDG_CACHE_HOME:-$HOME/.cache}/samenloop/prometheus"
complete() {
    for program in prometheus promtool amtool; do
        command -v "$program" >/dev/null || [ -x "$there/usr/bin/$program" ] || return 1
    done
}
complete && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "Prometheus is not fetched: this is no Debian or Ubuntu. Install prometheus, promtool and amtool to use them." >&2
    exit 1
fi

mkdir -p "${there%/*}"
fresh=$(mktemp -d "${there%/*}/fetching-XXXXXX")
trap 'rm -rf "$fresh"' EXIT
download() { (cd "$fresh" && apt-get download -qq prometheus prometheus-alertmanager) 2>"$fresh/said"; }
if ! download; then
    { [ "$(id -u)" = 0 ] && apt-get update -qq && download; } || {
        echo "Prometheus is not fetched; apt-get said:" >&2
        cat "$fresh/said" >&2
        exit 1
    }
fi
for package in "$fresh"/*.deb; do
    dpkg-deb --extract "$package" "$fresh/programs"
done
rm -rf "$there"
mv "$fresh/programs" "$there"
complete
