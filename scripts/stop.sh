#!/usr/bin/env bash
# Stops the daemon that try.sh left running, if any, and waits for its end.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/try-env.sh
[ -f "$pid_file" ] || exit 0
pid=$(cat "$pid_file")
if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = mainsd ]; then
  kill -TERM "$pid"
  timeout 30 tail --pid="$pid" -f /dev/null || kill -KILL "$pid"
fi
rm -f "$pid_file"
