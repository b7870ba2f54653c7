"""Kills the worker or the daemon at random moments while clients stream, and holds the ledger to its promise:

    received <= billed <= received + one lease; no row lost; no row doubled; an answer that ended is billed exactly.

The worker is the double without a model, so that a round takes a second and nothing but the daemon is tested.
"""
import dataclasses
import os
import pathlib
import random
import sys
import tempfile
import threading

from daemon import Daemon, Stream

ROUNDS = int(os.environ.get("MAINS_CRASH_ROUNDS", "50"))
SEED = int(os.environ.get("MAINS_CRASH_SEED", "1"))
# What a crash may bill beyond what was received (mains_ledger::LEASE_TOKENS).
LEASE_TOKENS = 64
CLIENTS = 8
# Answers take up to half a second at a millisecond a token; the cut comes anywhere in it.
MOST_TOKENS = 400
MODEL = "delay_ms=1\n"
LONGEST_WAIT_S = 0.5


@dataclasses.dataclass
class Tally:
    """What the run has seen, to tell a test that passes from one that tests nothing."""

    streams: int = 0
    cut: int = 0
    whole: int = 0
    refused: int = 0
    extended: int = 0
    overbilled: int = 0


def check(streams, rows, known, tally):
    """Compares what the clients of one round got with the rows that it added."""
    ids = [row["id"] for row in rows]
    problems = [f"row {row} is doubled" for row in {row for row in ids if ids.count(row) > 1}]
    lost = known - set(ids)
    problems += [f"row {row} of an earlier round is lost" for row in sorted(lost)]
    fresh = {row["id"]: row for row in rows if row["id"] not in known}
    silent = 0
    for stream in streams:
        tally.streams += 1
        if stream.id is None:
            silent += 1
            tally.refused += stream.status not in (None, 200)
            continue
        row = fresh.pop(stream.id, None)
        if row is None:
            problems.append(f"{stream} has no row")
            continue
        billed, received = row["completion_tokens"], stream.received
        tally.extended += billed > LEASE_TOKENS
        tally.overbilled += billed > received
        if stream.ended:
            tally.whole += 1
            if (billed, row.get("settled")) != (received, "exact"):
                problems.append(f"{stream} ended and is billed as {row}")
        else:
            tally.cut += 1
        if not received <= billed <= received + LEASE_TOKENS:
            problems.append(f"{stream} is billed as {row}")
    # A client that heard nothing does not know its row: it may have none, or one within the first lease.
    if len(fresh) > silent:
        problems.append(f"{len(fresh)} rows for {silent} requests that heard nothing")
    problems += [f"nobody received anything of {row}" for row in fresh.values() if row["completion_tokens"] > LEASE_TOKENS]
    return problems


def play(daemon, chance):
    """One round: clients stream, and in the middle of it a process dies."""
    streams = [Stream(daemon.socket, "null", chance.randint(1, MOST_TOKENS)) for _ in range(CLIENTS)]
    victim = chance.choice(["worker", "daemon"])
    moment = chance.uniform(0, LONGEST_WAIT_S)
    threads = [threading.Thread(target=stream.run) for stream in streams]
    for thread in threads:
        thread.start()
    threading.Event().wait(moment)
    if victim == "daemon":
        daemon.kill()
    else:
        daemon.kill_worker()
    for thread in threads:
        thread.join()
    if victim == "daemon":
        daemon.start()
    return victim, moment, streams


def main():
    chance = random.Random(SEED)
    tally = Tally()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="mains-crash-") as folder:
        folder = pathlib.Path(folder)
        (folder / "null.model").write_text(MODEL)
        daemon = Daemon(folder, {"null": folder / "null.model"})
        known = set()
        try:
            for number in range(ROUNDS):
                victim, moment, streams = play(daemon, chance)
                rows = daemon.settled_rows()
                problems = check(streams, rows, known, tally)
                known = {row["id"] for row in rows}
                failed += bool(problems)
                for problem in problems:
                    print(f"round {number} ({victim} killed after {moment:.3f} s): {problem}")
        finally:
            daemon.kill()
        if failed:
            print(daemon.said()[-4000:])
    print(f"seed {SEED}: {tally}")
    # A run in which hardly a stream was cut proves nothing.
    if tally.cut < ROUNDS or tally.extended < ROUNDS // 2:
        print("too few streams were cut: the test did not do its work")
        failed += 1
    print(f"{ROUNDS - min(failed, ROUNDS)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
