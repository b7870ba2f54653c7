"""What types cost a model is measured while nothing else runs, and loads after that are planned by it."""
import json
import re
import signal
import subprocess
from xml.etree import ElementTree as tree

import pytest

from daemon import BIN, until

QUICK = '[measure]\nafter = "1s"\ngroups = 3\ntexts = 1\n'
# Enough groups that a request comes between two of them.
LONGER = '[measure]\nafter = "1s"\ngroups = 43\ntexts = 4\n'


def sensitivity(daemon, model="pilot"):
    models = {entry["name"]: entry for entry in daemon.json("status")["models"]}
    return models[model]["sensitivity"]


def measured(daemon):
    until("a table", lambda: sensitivity(daemon)["state"] == "measured")


def kept(daemon, ending):
    return sorted((daemon.state / "models" / "measured").glob(f"*.{ending}"))


def groups(daemon):
    """Groups that are safe on disk while the measurement is not over."""
    records = kept(daemon, "measuring")
    return json.loads(records[0].read_text())["groups"] if records else []


@pytest.fixture(scope="module")
def done():
    from daemon import Daemon
    it = Daemon(config=QUICK)
    try:
        measured(it)
        yield it
    finally:
        it.remove()


def test_the_table_has_every_matrix_and_plans_choose_by_it(done):
    [table] = kept(done, "json")
    table = json.loads(table.read_text())
    names = [group["name"] for group in table["groups"]]
    assert "token_embd.weight" in names and len(names) == 43
    for group in table["groups"]:
        damages = dict(group["damages"])
        assert damages["Q2_K"] > damages["Q8_0"] > damages["BF16"] == 0
    caches = dict(table["kv"])
    assert 0 <= caches["F16"] < caches["Q8_0"], "smaller caches cost more"
    assert table["whole"], "whole choices are measured where there is memory for them"
    assert kept(done, "gguf"), "the importance of columns is kept"
    assert not kept(done, "measuring") and not kept(done, "partial")
    plan = done.json("plan", "pilot", "--weights", "5MiB")
    assert plan["predicted"]["kl"] > 0 and len({tensor["type"] for tensor in plan["tensors"]}) > 2


def test_it_is_shown(done):
    assert re.search(r"^pilot +\S+ +\S+ \S+ +yes ", done.mains("models").stdout, re.M)
    shown = done.mains("show", "pilot").stdout
    assert re.search("^quality +measured: plans choose types of tensors$", shown, re.M), shown
    assert done.json("show", "pilot")["sensitivity"] == {"state": "measured"}
    metrics = done.http().get("/metrics").text
    assert 'mains_sensitivity_state{model="pilot",state="measured"} 1' in metrics
    assert "the next load is planned by it" in done.said()


def test_a_plot_shows_the_whole_range_of_plans(done, tmp_path):
    small, picture = tmp_path / "small.gguf", tmp_path / "quality.svg"
    assert done.mains("export", "pilot", tmp_path / "pilot.gguf").returncode == 0
    subprocess.run([BIN / "mains-worker", "convert", "--from", tmp_path / "pilot.gguf", "--to", small, "--format", "Q8_0"], check=True)
    notes = tmp_path / "notes.txt"
    notes.write_text("The capital of Peru is Lima.")
    compared = done.mains("eval", small, "--against", "pilot", "--text", notes, "--plot", picture)
    assert compared.returncode == 0, compared.stderr
    [line] = tree.parse(picture).getroot().iter("{http://www.w3.org/2000/svg}polyline")
    places = [tuple(map(float, place.split(","))) for place in line.get("points").split()]
    assert len(places) > 8 and places == sorted(places), "fewer bytes diverge more, from the smallest types to those of the files"
    assert places[-1][0] > 4 * places[0][0]


def test_its_bytes_are_given_back(done):
    assert done.json("status")["reservations"] == []
    assert done.mains("ask", "pilot", "What is 17 + 25?", "--temperature", "0").returncode == 0


def test_a_request_goes_first_and_what_was_measured_survives_a_kill(own_daemon):
    daemon = own_daemon(config=LONGER)
    until("a group", lambda: groups(daemon))
    [held] = daemon.json("status")["reservations"]
    assert held["model"] == "(measurement)" and held["bytes"] > 0
    assert "measured now" in daemon.mains("status").stdout
    # The endpoint, the model's page and the list tell how far it is.
    told = until("it is told", lambda: (it := daemon.json("show", "pilot")["sensitivity"]).get("of") and it)
    assert told["state"] == "measuring" and 0 < told["done"] <= told["of"], told
    shown = daemon.mains("show", "pilot").stdout
    assert re.search(r"^quality +what types cost it is measured (now, step \d+ of \d+|later .*); types of tensors stay", shown, re.M), shown
    assert re.search(r"^pilot .* (\d+ of \d+|waiting) ", daemon.mains("models").stdout, re.M)
    answer = daemon.mains("ask", "pilot", "What is 17 + 25?", "--temperature", "0")
    assert answer.stdout == "17 + 25 = 42\n"
    before = groups(daemon)
    assert sensitivity(daemon)["state"] in ("waiting", "measuring")
    until("it goes on", lambda: len(groups(daemon)) > len(before))
    daemon.stop(signal.SIGKILL)
    before = groups(daemon)
    daemon.start()
    until("it goes on", lambda: len(groups(daemon)) > len(before))
    names = [name for name, _ in groups(daemon)]
    assert names[:len(before)] == [name for name, _ in before], "nothing is measured twice"


def test_a_record_that_is_damaged_begins_anew(own_daemon):
    daemon = own_daemon(config=QUICK.replace("groups = 3", "groups = 43"))
    until("a group", lambda: groups(daemon))
    daemon.stop(signal.SIGKILL)
    [record] = kept(daemon, "measuring")
    record.write_text("{")
    daemon.start()
    until("a group", lambda: daemon.said().count("begins anew") and record.read_text() != "{")


def test_a_quantized_model_keeps_its_types(own_daemon, tmp_path):
    daemon = own_daemon()
    pilot = daemon.state / "models" / "pilot.gguf"
    small = tmp_path / "small.gguf"
    made = subprocess.run([BIN / "mains-worker", "convert", "--from", pilot, "--to", small, "--format", "Q8_0"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    other = own_daemon("--model", f"small={small}", config=QUICK)
    until("it is looked at", lambda: sensitivity(other, "small")["state"] == "kept")
    assert re.search(r"^small +.* quantized ", other.mains("models").stdout, re.M)
    assert "quantized already" in other.mains("show", "small").stdout


def test_a_model_that_waits_says_for_what(own_daemon):
    daemon = own_daemon(config='[measure]\nafter = "1h"\n')
    assert daemon.json("show", "pilot")["sensitivity"] == {"state": "waiting", "done": 0}
    assert "it waits for the box to be idle; types of tensors stay" in daemon.mains("show", "pilot").stdout


def test_a_measurement_that_failed_says_why(own_daemon):
    daemon = own_daemon(config=QUICK.replace("groups = 3", "groups = 43"))
    until("a group", lambda: groups(daemon))
    daemon.stop(signal.SIGKILL)
    [record] = kept(daemon, "measuring")
    record.write_text(json.dumps({**json.loads(record.read_text()), "failed": "its tokens are odd"}))
    daemon.start()
    until("it is looked at", lambda: sensitivity(daemon)["state"] == "failed")
    why = "what types cost it can not be measured: its tokens are odd"
    for command in (["models"], ["show", "pilot"], ["status"]):
        assert why in daemon.mains(*command).stdout
