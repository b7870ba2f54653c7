#!/usr/bin/env bash
# Builds the Debian package: build-deb.sh [VERSION [FOLDER]], into target/debian when no folder is given. Needs cargo-deb, which it
# installs when it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh deb
cargo build --release --locked --bins
command -v cargo-deb >/dev/null || cargo install --quiet --locked cargo-deb --version 3.8.0
stage=target/release/package
rm -rf "$stage"
mkdir -p "$stage"
target/release/mains generate-docs "$stage"
gzip -9n "$stage"/man1/*.1
packaging/inventory.py "$stage"
gzip -9nc CHANGELOG.md >"$stage/changelog.gz"
version=${1:-$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)-1}
folder=${2:-target/debian}
mkdir -p "$folder"
cargo deb --package mains-cli --no-build --locked --strip --deb-version "$version" \
  --output "$folder/mains_${version}_$(dpkg --print-architecture).deb"
