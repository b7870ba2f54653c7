#!/usr/bin/env bash
# Builds the Debian package into target/debian: build-deb.sh [VERSION]. Needs cargo-deb, which it installs when it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh deb
cargo build --release --locked --bins
command -v cargo-deb >/dev/null || cargo install --quiet --locked cargo-deb --version 3.8.0
stage=target/package
rm -rf "$stage"
mkdir -p "$stage"
target/release/mains generate-docs "$stage"
gzip -9n "$stage"/man1/*.1
packaging/inventory.py "$stage"
gzip -9nc CHANGELOG.md >"$stage/changelog.gz"
version=()
[ $# -eq 0 ] || version=(--deb-version "$1")
cargo deb --package mains-cli --no-build --locked --output target/debian/ "${version[@]}"
