"""Sessions on the workers of all tests."""

import pytest

import tra


@pytest.fixture(params=[2, 3])
def dask_session(request, client):
    """A session on two of the workers, and one on three."""
    given = {"scheduler": client, "sites": request.param, "progress": False}
    with tra.connect("dask", **given, cost_model="fixed") as session:
        yield session
