"""Sessions on the workers of all tests, and workers to kill."""

import pytest

import tra
from tests.backends.kills import leftover, mortal_cluster, wait_for_workers


@pytest.fixture(params=[2, 3])
def dask_session(request, client):
    """A session on two of the workers, and one on three."""
    given = {"scheduler": client, "sites": request.param, "progress": False}
    with tra.connect("dask", **given, cost_model="fixed") as session:
        yield session


@pytest.fixture(scope="module")
def mortals():
    """A client of three workers, each of which is started again when it dies."""
    with mortal_cluster() as client:
        yield client


@pytest.fixture
def mortal_session(mortals):
    """A session on them, which leaves no task behind."""
    wait_for_workers(mortals, 3)
    with tra.connect("dask", scheduler=mortals, progress=False, cost_model="fixed") as session:
        yield session
    assert leftover(mortals) == []
