#!/bin/bash
# kill -9 against the ledger's promise. MAINS_CRASH_ROUNDS: how many rounds (50); MAINS_CRASH_SEED: the order of events;
# MAINS_BIN: the folder of the programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 -B tests/crash/crash.py
