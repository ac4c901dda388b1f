"""Gives each process of the run its own ROS domain, and fails tests with unannounced log errors."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test/support is importable as `support`

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# Tests run side by side: no two processes of a run share a domain.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or random.SystemRandom().random()
os.environ["ROS_DOMAIN_ID"] = str((random.Random(_RUN).randrange(12) * 8 + _WORKER % 8) + 1)

from support.complaints import Complaints, verdict

COMPLAINTS = Complaints()

# A shared machine is sometimes slow, which is not the fault of the code under test.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=60)
hypothesis.settings.load_profile("suite")


# Files that compute longest, which begin first: so no process works alone at the end of a run. What runs in
# real time is not among them: it would have the busiest neighbours.
LONG = (
    "robots/test_profiles.py", "dataset/test_export_run.py", "robots/test_guess.py",
    "floor/centre/database/test_rebuild.py", "floor/centre/ingest/test_ingest.py",
    "episodes/test_recovery.py", "alignment/test_aligner.py", "bags/test_ros1_file.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that compute longest."""
    places = {f"test/{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


PASSED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Note that a test ran to its end."""
    yield
    item.stash[PASSED] = True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test in which an exception was logged that it did not announce, even if it was caught.

    A test announces with ``@pytest.mark.announced("part of what is logged", ...)``; then it must be
    logged.
    """
    try:
        yield
    finally:
        complaints = COMPLAINTS.take()
    announced = [text for mark in item.iter_markers("announced") for text in mark.args]
    failed = verdict(complaints, announced, item.stash.get(PASSED, False))
    if failed:
        pytest.fail(failed, pytrace=False)


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """The directory of the compiled simulator model; its files are named after what they were made from."""
    return Path(__file__).parents[1] / ".cache" / "sim_tests"
