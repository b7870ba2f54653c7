"""`mains eval`: a file in fewer bits against the model that it was made of."""
import json
import pathlib
import subprocess
import xml.etree.ElementTree as tree

import pytest

from daemon import BIN

EXAM = pathlib.Path(__file__).resolve().parents[1] / "fixtures/exam/exam.json"
QUESTIONS = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory, daemon):
    """A folder with the pilot in Q4_K, and some questions of the exam."""
    folder = tmp_path_factory.mktemp("eval")
    pilot = next(model["path"] for model in daemon.json("status")["models"] if model["name"] == "pilot")
    command = [BIN / "mains-worker", "convert", "--from", pilot, "--to", folder / "q4.gguf", "--format", "Q4_K"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    exam = json.loads(EXAM.read_text())[:QUESTIONS]
    (folder / "exam.json").write_text(json.dumps(exam))
    (folder / "notes.txt").write_text("The pump house stands where the canal bends. " * 20)
    return folder


def figures(said):
    """The lines of the table by their names."""
    return {line[:17].strip(): line[17:].strip() for line in said.splitlines()}


def test_a_coarser_file_is_told_by_its_divergence_and_answers(daemon, made):
    done = daemon.mains("eval", made / "q4.gguf", "--against", "pilot", "--exam", made / "exam.json", "--plot", made / "quality.svg")
    assert done.returncode == 0, done.stderr
    said = figures(done.stdout)
    mean, p99, most = (float(said[name].split()[0]) for name in ("KL mean", "KL p99", "KL max"))
    assert 0 < mean < p99 < most < 1
    right = said["exact answers"].split()
    assert int(right[0]) >= QUESTIONS - 2 and right[1:] == ["of", f"{QUESTIONS},", "base", str(QUESTIONS)]
    picture = tree.parse(made / "quality.svg").getroot()
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "q4.gguf" in texts and "weights, MiB" in texts


def test_a_model_does_not_differ_from_itself(daemon, made):
    done = daemon.mains("eval", "pilot", "--against", "pilot", "--text", made / "notes.txt")
    assert done.returncode == 0, done.stderr
    said = figures(done.stdout)
    assert float(said["KL max"]) == 0 and said["equal top token"] == "100.00 %"


def test_what_can_not_be_compared_is_refused(daemon, made):
    done = daemon.mains("eval", "no-such-model", "--against", "pilot")
    assert done.returncode != 0 and "no-such-model" in done.stderr
    done = daemon.mains("eval", made / "q4.gguf", "--against", "pilot", "--exam", made / "notes.txt")
    assert done.returncode != 0 and "notes.txt" in done.stderr
