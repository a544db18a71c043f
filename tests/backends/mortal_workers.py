"""A cluster in a process of its own, whose workers are started again when they die, as fast as can be.

Its settings would be those of all clusters of the tests, were it in their process. It lives until its
standard input ends.
"""

import multiprocessing
import sys
from multiprocessing import forkserver

import dask
from distributed import LocalCluster

SETTINGS = {
    "distributed.scheduler.work-stealing": False,
    "distributed.admin.tick.limit": "1h",
    # Dask gives up a worker for good when it dies twice in this time and is just being started.
    "distributed.deploy.lost-worker-timeout": "1h",
    "distributed.worker.multiprocessing-method": "forkserver",
}


def main():
    """Says the address of the scheduler, and waits."""
    imported = ["distributed", "tra", "tests.backends.kills"]  # before any worker is started
    multiprocessing.get_context("forkserver").set_forkserver_preload(imported)
    forkserver.ensure_running()
    started = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": 60}
    with dask.config.set(SETTINGS), LocalCluster(n_workers=int(sys.argv[1]), **started) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
