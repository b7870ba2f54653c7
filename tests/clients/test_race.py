"""Two loads that race for the last bytes: a real daemon in a control group with memory for one of two models."""
import concurrent.futures
import pathlib
import uuid

import pytest

from cgroup import Group
from daemon import until

PILOT = pathlib.Path(__file__).resolve().parents[2] / "daemon" / "store" / "pilot" / "pilot.gguf"
SHAPE = "context = 2048\nparallel = 8\n"
ROUNDS = 4
NAMES = ("left", "right")


@pytest.fixture
def racing(own_daemon):
    """Makes a daemon with two models that a load takes the same bytes for, in a control group; and those bytes."""
    made = []

    def make(keep=""):
        try:
            group = Group(f"mains-{uuid.uuid4()}")
        except OSError as error:
            pytest.skip(f"no control group can be made here: {error}")
        models = "".join(f'[models.{name}]\npath = "{PILOT}"\n{SHAPE}{keep}' for name in ("left", "right"))
        daemon = own_daemon(config=models, group=group)
        made.append((daemon, group))
        total = daemon.json("plan", "left")["bytes"]["total"]
        return daemon, total

    yield make
    for daemon, group in made:
        daemon.stop()
        until("the workers are gone from the group", group.empty)


def load(daemon, name):
    with daemon.admin() as admin:
        return admin.post(f"/admin/models/{name}/load")


def unload(daemon, name):
    with daemon.admin() as admin:
        admin.post(f"/admin/models/{name}/unload").raise_for_status()


def answer(daemon, name):
    """What the model says to a question."""
    question = [{"role": "user", "content": "What is 7 + 7?"}]
    answered = daemon.openai().chat.completions.create(model=name, messages=question, temperature=0)
    return answered.choices[0].message.content


def held(daemon):
    """Bytes promised, by model."""
    promised = {}
    for entry in daemon.json("status")["reservations"]:
        promised[entry["model"]] = promised.get(entry["model"], 0) + entry["bytes"]
    return promised


def raced(daemon, total):
    """Has both loaded at once where there is room for one and a half; the answers, by model."""
    # File pages that were read twice count as used: the room is measured anew.
    daemon.leave(total * 3 // 2)
    with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
        return dict(zip(NAMES, pool.map(lambda name: load(daemon, name), NAMES)))


def test_of_two_that_stay_exactly_one_loads(racing):
    daemon, total = racing(keep="pin = true\n")
    for _ in range(ROUNDS):
        answers = raced(daemon, total)
        winners = [name for name, answer in answers.items() if answer.status_code == 200]
        assert len(winners) == 1, {name: answer.text for name, answer in answers.items()}
        winner = winners[0]
        loser = next(name for name in NAMES if name != winner)
        assert answers[loser].status_code == 503, answers[loser].text
        said = answers[loser].json()["error"]["message"]
        assert f"{winner} holds" in said and "it would fit with" in said, said
        assert held(daemon) == {winner: total}
        # The winner answers, and once it is unloaded the other finds its place.
        assert answer(daemon, winner)
        unload(daemon, winner)
        assert load(daemon, loser).status_code == 200
        assert held(daemon) == {loser: total}
        unload(daemon, loser)


def test_an_idle_model_makes_room_and_both_are_never_there(racing):
    daemon, total = racing()
    for _ in range(ROUNDS):
        answers = raced(daemon, total)
        assert any(answer.status_code == 200 for answer in answers.values())
        assert sum(held(daemon).values()) == total
        for name in NAMES:
            assert answer(daemon, name), "one that is idle is unloaded for it"
            assert held(daemon) == {name: total}
        unload(daemon, NAMES[-1])
