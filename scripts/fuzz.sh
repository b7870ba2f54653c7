#!/usr/bin/env bash
# Runs every fuzz target for the given seconds: fuzz.sh [SECONDS]. Needs a nightly toolchain and cargo-fuzz; says so when one is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "fuzzing needs a nightly toolchain (rustup toolchain install nightly): skipped"
  exit 0
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then cargo +nightly install --quiet --locked cargo-fuzz --version 0.13.2; fi
passed=0 failed=0
for target in $(cargo +nightly fuzz list); do
  echo "-- $target, $seconds s"
  # Debian's machines have no unlimited memory: a target that needs over 2 GiB is a finding.
  if cargo +nightly fuzz run --release "$target" -- -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -verbosity=0 -print_final_stats=1; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
