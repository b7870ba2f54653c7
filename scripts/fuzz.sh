#!/usr/bin/env bash
# Runs every fuzz target for the given seconds, as many side by side as the machine has cores: fuzz.sh [SECONDS [TARGET ...]].
#
# Needs a nightly toolchain, cargo-fuzz and python3; the first two are installed when they are missing. Where that is not possible the
# run fails and says so: targets that did not run have shown nothing. What a target finds lies in fuzz/artifacts/TARGET, to be run
# again with `cargo +nightly fuzz run TARGET FILE`; what it learnt stays in fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
toolchain=${MAINS_NIGHTLY:-nightly}
if ! cargo "+$toolchain" --version >/dev/null 2>&1; then
  rustup toolchain install "$toolchain" --profile minimal ||
    { echo "fuzz.sh: no nightly toolchain, and it cannot be installed: rustup toolchain install $toolchain" >&2; exit 1; }
fi
if ! cargo "+$toolchain" fuzz --version >/dev/null 2>&1; then
  cargo "+$toolchain" install --quiet --locked cargo-fuzz --version 0.13.2 ||
    { echo "fuzz.sh: no cargo-fuzz, and it cannot be installed: cargo install cargo-fuzz --version 0.13.2" >&2; exit 1; }
fi
begin=$SECONDS
cargo "+$toolchain" fuzz build --release
echo "built after $((SECONDS - begin)) s"
python3 fuzz/seeds.py fuzz/corpus
[ $# -gt 0 ] || mapfile -t targets < <(cargo "+$toolchain" fuzz list)
[ $# -eq 0 ] || targets=("$@")
logs=fuzz/target/logs
mkdir -p "$logs"

run_target() {
  local target=$1 seconds=$2 logs=$3 toolchain=$4
  # Debian's machines have no unlimited memory: a target that needs over 2 GiB is a finding.
  if cargo "+$toolchain" fuzz run --release "$target" -- -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -verbosity=0 \
    -print_final_stats=1 >"$logs/$target.log" 2>&1; then
    echo "ok $target: $(grep -o 'number_of_executed_units: *[0-9]*' "$logs/$target.log" | grep -o '[0-9]*$') inputs in $seconds s"
  else
    echo "FAILED $target"
    tail -n 40 "$logs/$target.log"
  fi
}
export -f run_target
results=$(printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c "run_target {} $seconds $logs $toolchain")
echo "$results"
failed=$(grep -c '^FAILED ' <<<"$results" || true)
passed=$(grep -c '^ok ' <<<"$results" || true)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -eq "${#targets[@]}" ]
