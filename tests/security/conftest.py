"""What every input keeps to, whoever wrote it: an error of the engine or a result, soon, in little memory."""

import time
from contextlib import suppress
from pathlib import Path

import pytest

from tra.errors import TraError

SECONDS = 1.0  # of CPU time
MEGABYTES = 200


def _resident(line):
    """A figure of this process in megabytes, such as its peak; 0 where the system does not say."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return next(int(row.split()[1]) / 1000 for row in text.splitlines() if row.startswith(line + ":"))


def _forget_peak():
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _bounded(call, *arguments):
    """The result of a call, or its TraError; fails where it raises anything else or takes too much."""
    _forget_peak()
    before, started = _resident("VmRSS"), time.process_time()
    try:
        return call(*arguments)
    except TraError as error:
        assert len(str(error)) < 20_000
        return error
    finally:
        seconds, megabytes = time.process_time() - started, _resident("VmHWM") - before
        assert seconds < SECONDS, f"{seconds:.1f} s"
        assert megabytes < MEGABYTES, f"{megabytes:.0f} MB"


@pytest.fixture(scope="session")
def bounded():
    """Runs a call and holds it to the bounds."""
    return _bounded
