#!/bin/bash
# kill -9 against the promises of the ledger and of the store. MAINS_CRASH_ROUNDS: how many rounds (50 and 12); MAINS_CRASH_SEED: the order of events;
# MAINS_BIN: the folder of the programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
python3 -B tests/crash/crash.py || status=1
python3 -B tests/crash/store.py || status=1
exit "$status"
