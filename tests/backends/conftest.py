"""One Dask cluster of three workers for all tests that need one; they run in one process, as one group."""

import dask
import pytest
from distributed import Client, LocalCluster

import tra


@pytest.fixture(scope="session")
def cluster():
    settings = {"distributed.scheduler.work-stealing": False, "distributed.admin.tick.limit": "1h"}
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as started,
    ):
        yield started


@pytest.fixture(scope="session")
def client(cluster):
    with Client(cluster, set_as_default=False) as connected:
        yield connected


@pytest.fixture(params=[2, 3])
def dask_session(request, client):
    """A session on two of the workers, and one on three."""
    given = {"scheduler": client, "sites": request.param, "progress": False}
    with tra.connect("dask", **given, cost_model="fixed") as session:
        yield session
