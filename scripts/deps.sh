#!/usr/bin/env bash
# Installs what is missing on Debian, by package name: deps.sh build | test | peers | deb. Does nothing, and asks nobody, when all is there.
set -euo pipefail
packages=(gcc libc6-dev pkg-config libsystemd-dev)
case ${1:-build} in
  build) ;;
  test) packages+=(python3 python3-venv) ;;
  peers) packages+=(python3 python3-venv g++) ;;
  deb) packages+=(python3) ;;
  *) echo "deps.sh: build, test, peers or deb" >&2; exit 2 ;;
esac
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "needed and missing: ${missing[*]}; this script installs with apt only, so install them your way" >&2
  exit 1
fi
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
echo "installing ${missing[*]}"
"${root[@]}" apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -qy --no-install-recommends "${missing[@]}" >/dev/null
