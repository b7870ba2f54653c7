#!/usr/bin/env bash
# Everything that must hold, stage by stage: test.sh [STAGE ...]. Ends with the count over all runners, and fails when any stage did.
#
# Stages: format lints tests worker-links clients crash systemd peers fuzz. Without arguments all but the last three: systemd and fuzz
# are for .ci/run, and peers builds llama.cpp first.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=target/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0 broken=()

# One profile for tests and programs: what was tested is what runs, and nothing is built twice.
profile=(--release --locked)

stage_format() { cargo fmt --all -- --check; }

stage_lints() { cargo clippy --workspace --all-targets "${profile[@]}" -- -D warnings; }

# They take 4 minutes on 2 cores. One that never ends is a failure that is told, not a run that somebody has to break off.
tests_minutes=40
stage_tests() {
  cargo build --workspace --bins "${profile[@]}" && cargo test --workspace --no-run "${profile[@]}" || return 1
  timeout --kill-after=10 $((tests_minutes * 60)) cargo test --workspace --no-fail-fast "${profile[@]}"
  local status=$?
  [ "$status" -ne 124 ] || echo "the tests did not end within $tests_minutes minutes: the last lines above name the one that hangs"
  return "$status"
}

# The worker opens models: no HTTP server, no TLS, no database and no systemd library belongs into it.
stage_worker-links() {
  local found
  found=$(cargo tree -p mains-worker -e normal --prefix none --locked | awk '{print $1}' | sort -u |
    grep -E '^(axum|hyper|rustls|rusqlite|libsqlite3-sys|systemd|libsystemd-sys)$')
  if [ -n "$found" ]; then echo "mains-worker links $found"; return 1; fi
}

stage_clients() {
  local venv=target/venv
  if ! cmp -s tests/clients/requirements.txt "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv" && "$venv/bin/pip" install -q -r tests/clients/requirements.txt || return 1
    cp tests/clients/requirements.txt "$venv/"
  fi
  cargo build --workspace --bins "${profile[@]}" && "$venv/bin/python" -m pytest -q -rs -p no:cacheprovider tests/clients
}

# Exports and token ids against llama.cpp and the package `tokenizers`. Its tools, servers and pictures are left out of the build, which is
# optimised no further than models as small as these need: 127 files in 272 s of a core.
peer_build="-DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TESTS=OFF \
  -DLLAMA_OPENSSL=OFF -DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1"
stage_peers() {
  local venv=target/venv-peers
  if ! cmp -s tests/peers/requirements.txt "$venv/requirements.txt"; then
    rm -rf "$venv"
    scripts/deps.sh peers && python3 -m venv "$venv" && CMAKE_ARGS="$peer_build" "$venv/bin/pip" install -q -r tests/peers/requirements.txt ||
      return 1
    cp tests/peers/requirements.txt "$venv/"
  fi
  cargo build --workspace --bins "${profile[@]}" && "$venv/bin/python" -m pytest -q -rs -p no:cacheprovider tests/peers
}

stage_crash() { cargo build --workspace --bins "${profile[@]}" && tests/crash/run.sh; }

stage_systemd() { tests/systemd/run.sh; }

stage_fuzz() { scripts/fuzz.sh "${MAINS_FUZZ_SECONDS:-60}"; }

# Adds up what the runners printed: cargo's `test result:` lines, pytest's summary and plain `N passed, N failed` lines.
count() {
  local sums
  sums=$(awk '
    /^test result:/ { for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^failed/) f += $(i-1); if ($i ~ /^ignored/) s += $(i-1) } next }
    /^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ { p += $1; f += $3; s += $5; next }
    /^(=+ )?[0-9]+ (passed|failed|skipped|error).* in [0-9.]+s/ {
      for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^(failed|errors?)/) f += $(i-1); if ($i ~ /^skipped/) s += $(i-1) } }
    END { print p + 0, f + 0, s + 0 }' "$1")
  read -r p f s <<<"$sums"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

run() {
  local name=$1 log="$logs/$1.log" begin=$SECONDS
  printf '\n== %s\n' "$name"
  "stage_$name" 2>&1 | tee "$log"
  local status=${PIPESTATUS[0]}
  count "$log"
  if [ "$status" -ne 0 ]; then broken+=("$name"); fi
  printf '== %s: %s after %d s\n' "$name" "$([ "$status" -eq 0 ] && echo ok || echo FAILED)" $((SECONDS - begin))
}

scripts/deps.sh test || exit 1
[ $# -gt 0 ] || set -- format lints tests worker-links clients crash
for name in "$@"; do
  declare -F "stage_$name" >/dev/null || { echo "test.sh: no stage $name" >&2; exit 2; }
  run "$name"
done
echo
# A stage that broke without a failed test (a lint, a build) counts as one failure: the last line never says that all is well when it is not.
[ ${#broken[@]} -eq 0 ] || echo "failed stages: ${broken[*]}"
[ "$failed" -gt 0 ] || failed=${#broken[@]}
if [ "$skipped" -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ ${#broken[@]} -eq 0 ] && [ "$failed" -eq 0 ]
