"""A worker takes what was planned, at any context and number of sequences: some cells of the table that `tests/bench/memory.py` prints."""
import pathlib
import sys

import pytest

from daemon import BIN

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import memory  # noqa: E402: it lies beside the benchmarks


@pytest.mark.skipif(BIN.name == "debug", reason="a program that was not optimised has more pages of its own than is planned for")
@pytest.mark.parametrize(("context", "parallel"), [(16, 1), (512, 8), (2048, 8)])
def test_a_worker_takes_its_plan(context, parallel):
    planned, peak, *_ = memory.cell("pilot", None, context, parallel)
    assert peak <= planned
    assert planned - peak <= max(16 * memory.MIB, planned // 50)
