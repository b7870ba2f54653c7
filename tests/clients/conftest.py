import pytest

from daemon import Daemon


@pytest.fixture(scope="session")
def daemon():
    """One daemon for all tests that leave it as they found it."""
    it = Daemon()
    yield it
    it.remove()


@pytest.fixture
def own_daemon():
    """Makes daemons for tests that break or configure theirs."""
    made = []

    def make(*arguments, **options):
        made.append(Daemon(*arguments, **options))
        return made[-1]

    yield make
    for it in made:
        it.remove()


@pytest.fixture(scope="session")
def client(daemon):
    return daemon.openai()
