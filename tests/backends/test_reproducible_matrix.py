"""One hash where a level promises one: over workers, threads, delays, tiles, orders and types of processor.

With "off" the same matrix has to show several, or it would prove nothing. The ordinary tier runs a sample.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import cloudpickle
import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster

import tra
from tests.backends import delays
from tests.backends.delays import delay_worker, delays_here
from tests.backends.reproducible_cases import CASES, SEEDS, run
from tests.long import LONG, only_long
from tra.backends import dask_backend
from tra.optimizer.reproducible.level import LEVELS

pytestmark = pytest.mark.xdist_group("dask")
TILES = (7, 16, 33, 64, 400) if LONG else (7, 16, 400)
WORKERS = (1, 2, 3, 4) if LONG else (1, 3)
AT_LEAST = 3  # different results with "off"
ROOT = Path(__file__).resolve().parent.parent.parent
cloudpickle.register_pickle_by_value(delays)


@dataclass(frozen=True)
class Setting:
    """How a case runs.

    Attributes:
        workers: how many sites there are.
        threads: threads of each.
        tile: length of tiles along every axis.
        is_late: tasks and threads wait for as long as chance has it.
        killed: seconds after the first plan begins at which a worker is killed; none is when left out.
        seed: of the order of what may come in any.
    """

    workers: int
    threads: int
    tile: int
    is_late: bool = False
    killed: float | None = None
    seed: int | None = None


def settings_of(level, case):
    """The matrix of a level: whatever it promises nothing of is in its plan."""
    seeds = SEEDS if level == "exact" else SEEDS[:1]
    if not LONG and case == "network":
        return [Setting(1, 1, 400), Setting(2, 2, 100, is_late=True), Setting(1, 2, 400)]
    every = [
        Setting(workers, threads, tile, is_late=threads > 1, seed=seed)
        for workers, threads, tile, seed in product(WORKERS, (1, 2), TILES, seeds)
    ]
    return every[:: 1 if LONG else {"tiling": 2, "exact": 5}.get(level, 1)]


def here(level, case, setting):
    """The hashes of a case and of its plans, on sites of this process."""
    given = {"sites": setting.workers, "threads": setting.threads, "progress": False}
    with (
        delays_here() if setting.is_late else nullcontext(),
        tra.connect("local", reproducible=level, **given) as session,
    ):
        return run(session, case, setting.tile, setting.seed)


def check(level, found):
    """Asserts what a level promises of the results and plans of some settings."""
    hashes, plans = {bits for bits, _ in found}, {plan for _, plan in found}
    if level == "off":
        assert len(hashes) >= min(AT_LEAST, len(found) - 1)
    elif level == "run":
        assert len(plans) < len(found), "every run had a plan of its own"
        assert len(set(found)) == len(plans), "a plan had several results"
    else:
        assert len(hashes) == 1


CELLS = [
    (level, case) for level in LEVELS for case in CASES if LONG or case in ("chain", "kmeans")
]  # a step of a network takes long to plan


@pytest.mark.parametrize(("level", "case"), CELLS)
def test_sites_and_threads(level, case):
    check(level, [here(level, case, setting) for setting in settings_of(level, case)])


# -- clusters ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def late_client(request):
    """A client of workers whose tasks wait: four in the long tier, else those that other tests have."""
    if not LONG:
        yield request.getfixturevalue("client")
        return
    settings = {"distributed.scheduler.work-stealing": False}
    given = {"n_workers": 4, "threads_per_worker": 2, "dashboard_address": "127.0.0.1:0", "silence_logs": 50}
    with dask.config.set(settings), LocalCluster(**given) as cluster, Client(cluster, False) as client:
        client.run(delay_worker)
        yield client


@contextmanager
def on_workers(first):
    """Sites are the workers from one on, in a circle."""
    listed = dask_backend.worker_addresses

    def turned(client, sites):
        every = listed(client, None)
        found = list(every.items() if isinstance(every, dict) else every)
        return type(every)([*found[first:], *found[:first]][: sites or None])

    dask_backend.worker_addresses = turned
    try:
        yield
    finally:
        dask_backend.worker_addresses = listed


def there(client, level, case, setting, first=0):
    """The hashes of a case and of its plans, on workers."""
    given = {"sites": setting.workers, "threads": setting.threads, "progress": False}
    with ExitStack() as stack:
        stack.enter_context(on_workers(first))
        opened = tra.connect("dask", scheduler=client, reproducible=level, cost_model="fixed", **given)
        session = stack.enter_context(opened)
        if setting.killed is not None:
            stack.enter_context(killing(session, setting.killed))
        return run(session, case, setting.tile, setting.seed)


@contextmanager
def killing(session, seconds):
    """A worker that is a site dies so long after the first plan begins; ends when there is another."""
    client, begin, address = session.backend.client, session.backend.run, session.backend.workers[-1]
    there_ = client.run(os.getpid)
    timer = threading.Timer(seconds, os.kill, (there_[address], signal.SIGKILL))

    def beginning(*arguments, **named):
        if timer.ident is None:
            timer.start()
        return begin(*arguments, **named)

    session.backend.run = beginning
    yield
    timer.join()
    while address in (now := client.scheduler_info(n_workers=-1)["workers"]) or len(now) < len(there_):
        time.sleep(0.05)


@pytest.mark.xdist_group("dask")
@pytest.mark.parametrize("case", CASES if LONG else ["chain"])
@pytest.mark.parametrize("level", ["run", "tiling", "exact"])
def test_workers(late_client, level, case):
    every = settings_of(level, case) if LONG else [Setting(2, 1, 64), Setting(3, 2, 64), Setting(2, 2, 64)]
    found = [there(late_client, level, case, setting, n % 3) for n, setting in enumerate(every)]
    check(level, found)
    if level != "run":
        assert {found[0][0]} == {bits for bits, _ in [here(level, case, every[0])]}


@pytest.mark.xdist_group("dask")
@pytest.mark.skipif(find_spec("tra.backends.recovery") is None, reason="runs end when a worker dies")
@pytest.mark.parametrize("case", CASES if LONG else ["chain"])
@pytest.mark.parametrize("level", ["run", "tiling", "exact"])
def test_a_killed_worker(mortals, level, case):
    found = []
    for killed in (None, 0.0, 0.1, 0.3) if LONG else (None, 0.05):
        if LONG:
            mortals.run(delay_worker)
        found.append(there(mortals, level, case, Setting(2, 1, 64, killed=killed)))
    check(level, found)


# -- types of processor -----------------------------------------------------------------------------

NEEDED = {"SkylakeX": "avx512vl", "Haswell": "avx2", "Nehalem": "sse4_2"}


def core_types():
    """The types of processor that OpenBLAS can take this one for."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return []
    return [name for name, flag in NEEDED.items() if flag in flags]


def elsewhere(level, core_type, tiles, cases):
    """The hashes of cases as another type of processor computes them, by case."""
    features = " ".join(np._core._multiarray_umath.__cpu_dispatch__)
    older = {"NPY_DISABLE_CPU_FEATURES": features} if core_type == "Nehalem" else {}
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **older, "OPENBLAS_CORETYPE": core_type, "PYTHONPATH": paths}
    module = ["-m", "tests.backends.reproducible_cases", level, ",".join(cases)]
    command = [sys.executable, "-W", "ignore", *module, *map(str, tiles)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@only_long
@pytest.mark.skipif(len(core_types()) < 2, reason="one type of processor")
def test_types_of_processor():
    tiles, cases = (TILES, CASES) if LONG else ((64,), ["chain"])
    every = core_types() if LONG else [core_types()[0], core_types()[-1]]
    found = [elsewhere("exact", core_type, tiles, cases) for core_type in every]
    for case in cases:
        here_ = here("exact", case, Setting(2, 1, 64))[0]
        assert {bits for one in found for bits in one[case]} == {here_}
    free = [elsewhere("run", core_type, tiles, cases) for core_type in every]
    assert any(len({one[case][0] for one in free}) > 1 for case in cases), "they compute alike anyway"
