"""How long `mains plan` takes for models of a terabyte in as many as 20,000 tensors, from the files' first inspection on.

    python tests/bench/large.py [--repeat 5] [--folder DIR]     # MAINS_BIN: the folder of the programs

Two models, BF16, of holes (`tests/clients/large.py`): `mixture`, 20,439 tensors in 188 safetensors files, a tensor an expert in 52
layers; and `dense`, 11,266 tensors in a GGUF file of 1,024 layers, the most that are read, with a vocabulary of 152,000 tokens. Each
is planned for a box of eight cards of 141 GB and for one such card, as it is and with a sensitivity table for every matrix. `first`
is the whole command beside a daemon that has just started: inspection, search, drawing. `again` is the command when the daemon knows
the files. Medians; exits with 1 when a `first` of the mixture takes a second or more. The digest of the files is known beforehand: to
take it, a terabyte has to be read.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients"))

import large  # noqa: E402: it lies beside the client tests
from daemon import Daemon  # noqa: E402

VOCABULARY = 151_936
BOUND_S = 1.0
NO_PLAN = 3


def timed(daemon, *arguments):
    began = time.perf_counter()
    done = daemon.mains("plan", *arguments)
    took = time.perf_counter() - began
    assert done.returncode in (0, NO_PLAN), done.stderr
    return took, done


def case(models, state, name, inventory, arguments, repeat):
    """Seconds of the command with a daemon that knows nothing, of the same again, and what it said last."""
    first, again = [], []
    for _ in range(repeat):
        daemon = Daemon(*[f"--model={known}={path}" for known, path in models.items()], state=state)
        try:
            command = (name, "--inventory", str(inventory), *arguments)
            first.append(timed(daemon, *command)[0])
            took, done = timed(daemon, *command)
            again.append(took)
        finally:
            daemon.remove()
    return statistics.median(first), statistics.median(again), done


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeat", type=int, default=5)
    arguments.add_argument("--folder", type=pathlib.Path, help="where the models are made; a temporary folder when absent")
    asked = arguments.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        folder = pathlib.Path(folder)
        state = folder / "state"
        daemon = Daemon(state=state)
        here = daemon.json("devices")
        daemon.remove()
        pilot = (state / "models" / "pilot.gguf").read_bytes()
        dense = large.write_gguf(folder / "dense.gguf", pilot, tokens=VOCABULARY)
        tensors = large.write_folder(folder / "mixture", ROOT / "tests" / "fixtures" / "families" / "qwen3_moe")
        print(f"dense: {len(dense):,} tensors in 1 file; mixture: {tensors:,} tensors in {len(list((folder / 'mixture').glob('*.safetensors')))} files")
        models = {"mixture": folder / "mixture", "dense": folder / "dense.gguf"}
        large.keep_digest(state, *models.values())
        daemon = Daemon(f"--model=mixture={models['mixture']}", state=state)
        # The mixture's tensors as plans name them: all experts of a layer are one.
        plan = daemon.mains("plan", "mixture", "--memory", "2TiB", "--json", check=True)
        daemon.remove()
        names = {"dense": dense, "mixture": [tensor["name"] for tensor in json.loads(plan.stdout)["tensors"]]}
        boxes = {}
        for count in (1, 8):
            boxes[count] = folder / f"{count}.json"
            boxes[count].write_text(json.dumps(large.box(here, count)))
        print("model    table  cards  options              first s  again s  what it said")
        for table in (False, True):
            if table:
                for model in models:
                    large.write_table(state, models[model], names[model])
            for name in models:
                for count in (8, 1):
                    for options in (["--json"], [], ["--policy", "quality"]) if table else (["--json"], []):
                        first, again, done = case(models, state, name, boxes[count], options, asked.repeat)
                        failed |= name == "mixture" and first >= BOUND_S
                        said = "no plan" if done.returncode == NO_PLAN else "a plan"
                        print(f"{name:8} {'yes' if table else 'no':6} {count:5}  {' '.join(options) or 'drawn':18} {first:9.2f} {again:8.2f}  {said}",
                              flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
