#!/usr/bin/env bash
# Builds, starts the daemon on the embedded pilot model and shows it at work. Leaves it running. No root needed but for missing packages.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh build
cargo build --release --locked --bins --quiet
. scripts/try-env.sh
scripts/stop.sh
mkdir -p -m 700 "$try_dir"
[ -O "$try_dir" ] || { echo "$try_dir belongs to somebody else; remove it or set XDG_RUNTIME_DIR" >&2; exit 1; }
mains=target/release/mains
log=$try_dir/log
setsid "$mains" serve --socket "$socket" --state-dir "$state_dir" </dev/null >"$log" 2>&1 &
pid=$!
echo "$pid" >"$pid_file"
if ! grep -m1 '^mains: ready' < <(timeout 60 tail -n +1 -f --pid="$pid" "$log"); then
  echo "the daemon did not get ready; its log:" >&2
  cat "$log" >&2
  exit 1
fi
export MAINS_SOCKET=$socket
show() { printf '\n$ mains %s\n' "$*"; "$mains" "$@"; }
show devices
show plan pilot
printf '\n$ mains ask pilot "What is 17 + 25?" --temperature 0 --receipt\n'
"$mains" ask pilot "What is 17 + 25?" --temperature 0 --receipt
cat <<TEXT

The daemon goes on running (process $pid, log $log). Go on with
  export MAINS_SOCKET=$socket PATH=$PWD/target/release:\$PATH
  mains chat pilot
  curl --unix-socket $socket http://localhost/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"model": "pilot", "messages": [{"role": "user", "content": "What is the capital of Peru?"}]}'
  mains usage
and stop it with
  make stop
TEXT
