#!/usr/bin/env bash
# Makes the root file systems that the units are tested in: roots.sh CACHE. Debian 12 has systemd 252, Debian 13 has 257. As root, once.
set -euo pipefail
cache=$1
mirror=$(awk '$1 == "URIs:" && $2 ~ /\/debian\/?$/ { print $2; exit }' /etc/apt/sources.list.d/*.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" && $0 ~ /\/debian\/? / { for (i = 2; i <= NF; i++) if ($i ~ /\/debian\/?$/) { print $i; exit } }' /etc/apt/sources.list 2>/dev/null || true)
[ -n "$mirror" ] || { echo "no Debian mirror in apt's sources" >&2; exit 1; }
mkdir -p "$cache"
for release in bookworm trixie; do
  root=$cache/root.$release
  [ -d "$root" ] && continue
  rm -rf "$root.new"
  # libsystemd0 comes with systemd; python3 is the test's HTTP client.
  mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io \
    --include=systemd,systemd-sysv,dbus,procps,libpam-systemd,python3-minimal,libpython3-stdlib \
    "$release" "$root.new" "$mirror"
  mv "$root.new" "$root"
done
