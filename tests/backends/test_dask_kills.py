"""Workers that are killed at any moment of any query cost time, and nothing else.

An ordinary run kills one in each of a few queries. The long tier has more, and kills 200 in whole workflows,
where it holds the time that this costs to a bound; KILLS= says how many, and SEED= when and which.
"""

import itertools
import os
import random
import time
from collections import defaultdict
from functools import partial
from statistics import median

import dask
import pytest

import tra
from tests.backends.kills import finishing, killed_after, leftover, same, wait_for_workers, wanted
from tests.backends.mortal_queries import MORE_QUERIES, QUERIES, WORKFLOWS
from tests.long import LONG, only_long

pytestmark = pytest.mark.xdist_group("dask")
KILLS = int(os.environ.get("KILLS", "200"))
SEED = int(os.environ.get("SEED", "0"))
SECONDS = 120  # until a run counts as one that hangs
MOST = 3  # times the clean run, at the median


def connected(client, query):
    """A session, with the limit that a query asks for."""
    limit = getattr(query, "limit", None)
    return tra.connect("dask", scheduler=client, progress=False, cost_model="fixed", memory_limit=limit)


def timed(query, session, folder):
    """What a query gives, and the seconds that it took."""
    start = time.perf_counter()
    found = finishing(SECONDS, partial(query, session, folder))
    return found, time.perf_counter() - start


def with_a_kill(client, query, folder, moment, rng):
    """What a query gives while a worker dies at a moment of it, the seconds, and whether one died."""
    wait_for_workers(client, 3)
    with connected(client, query) as session, killed_after(client, moment, rng) as died:
        found, seconds = timed(query, session, folder)
    return found, seconds, bool(died)


@pytest.mark.parametrize("query", QUERIES + MORE_QUERIES if LONG else QUERIES)
def test_a_worker_dies_while_a_query_runs(mortals, tmp_path, query):
    rng = random.Random(query.__name__)
    expected, moment, died = wanted(query, tmp_path), rng.uniform(0.1, 0.6), False
    while not died:
        found, _, died = with_a_kill(mortals, query, tmp_path, moment, rng)
        same(found, expected)
        moment /= 2
    del found
    assert leftover(mortals) == []
    assert dask.config.get("scheduler", None) is None  # of the whole process


@only_long
def test_random_kills(mortals, tmp_path):
    rng = random.Random(SEED)
    expected = {query: wanted(query, tmp_path) for query in WORKFLOWS}
    clean, killed = defaultdict(list), defaultdict(list)
    for query in WORKFLOWS:
        for _ in range(2):
            with connected(mortals, query) as session:
                clean[query].append(timed(query, session, tmp_path)[1])
    for number in itertools.count():
        query = WORKFLOWS[number % len(WORKFLOWS)]
        moment = rng.uniform(0, median(clean[query]))
        found, seconds, died = with_a_kill(mortals, query, tmp_path, moment, rng)
        same(found, expected[query])
        del found
        assert leftover(mortals) == [], query.__name__
        (killed if died else clean)[query].append(seconds)  # it may be done before
        n_killed = sum(map(len, killed.values()))
        print(
            f"{n_killed:3} {query.__name__:15} {seconds:6.2f} s{'' if died else ', nobody died'}", flush=True
        )
        if n_killed == KILLS:
            break
    ratios = {query: [seconds / median(clean[query]) for seconds in killed[query]] for query in killed}
    for query, found in ratios.items():
        figures = f"clean {median(clean[query]):5.2f} s, killed {median(killed[query]):5.2f} s"
        print(f"{query.__name__:15} {len(found):3} kills, {figures}, {median(found):.2f} × at the median")
    together = median(ratio for found in ratios.values() for ratio in found)
    print(f"{number + 1} right answers of {number + 1} runs, {n_killed} of which lost a worker; no hang, no")
    print(f"task left over; {together:.2f} × the clean run at the median")
    assert together <= MOST
