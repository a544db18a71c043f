"""Tasks and threads that take their time: each call waits for as long as chance has it."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest.mock import patch

from tra.backends import local, threads, worker

LONGEST = 0.01  # seconds


def _wait():
    time.sleep(random.random() * LONGEST)


class Shuffled(ThreadPoolExecutor):
    """Threads that begin with any of their calls, and give the results in order."""

    def map(self, function, items):
        items = list(items)
        found = [None] * len(items)
        for place in random.sample(range(len(items)), len(items)):
            found[place] = self.submit(self._late, function, items[place])
        return [future.result() for future in found]

    @staticmethod
    def _late(function, item):
        if random.random() < 0.1:
            _wait()
        return function(item)


@contextmanager
def delays_here():
    """Delays in this process."""
    pools, lock = {}, threading.Lock()

    def pool(n):
        with lock:
            return pools.setdefault(n, Shuffled(n))

    run_stage = local.run_stage

    def late(*arguments):
        _wait()
        return run_stage(*arguments)

    with patch.object(threads, "_pool", pool), patch.object(local, "run_stage", late):
        yield
    for made in pools.values():
        made.shutdown()


def delay_worker():
    """Delays in a worker from now on; called there."""
    if getattr(worker, "is_late", False):
        return
    worker.is_late = True
    run_stage = worker.run_stage

    def late(*arguments):
        _wait()
        return run_stage(*arguments)

    worker.run_stage = late
    threads._pool = lambda n, pools={}: pools.setdefault(n, Shuffled(n))
