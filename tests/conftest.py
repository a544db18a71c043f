"""What tests of plans and backends share: running plans, and holding results to the reference evaluator."""

import os
import warnings
from dataclasses import dataclass

# Workers look at their own stacks a hundred times a second otherwise, also those that have nothing to do.
os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "False")

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from hypothesis import settings

from tests.long import examples
from tra.algebra import reference
from tra.algebra.live import is_dense, is_plain
from tra.backends.backend import result_tiles
from tra.backends.local import LocalBackend
from tra.optimizer.plan import plan_order
from tra.optimizer.program import program
from tra.testing import check_type

settings.register_profile("tier", examples(100))  # where a test names no number
settings.load_profile("tier")


@dataclass
class Agreement:
    """Runs plans on the local backend, and compares tiles with what the reference evaluator makes."""

    def expected(self, relation):
        """The tiles of a relation; None where the definitions fail on its values."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return reference.evaluate(relation.expr, relation.sources)
            except ValueError:
                return None

    def run(self, plans, sources, threads=1, given=(), model=None):
        """The tiles of each plan, run on the local backend."""
        made = program(tuple(plans), given, model)
        backend = LocalBackend(threads=threads, sites=made.n_sites)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            run = backend.run(made, sources, measure=True)
        assert run.measured.tasks == made.n_tasks
        found = []
        for root, shares in zip(made.roots, run.shares, strict=True):
            pairs = list(result_tiles(backend, root, shares))
            assert len(dict(pairs)) == len(pairs), "a tile came twice"
            found.append(dict(pairs))
        return found, run.measured

    def same(self, found, expected, type_=None):
        """Asserts that two relations are equal but for rounding: keys, shapes, dtypes, values."""
        assert set(found) == set(expected)
        for key, tile in expected.items():
            assert found[key].dtype == tile.dtype, key
            assert found[key].shape == tile.shape, key
            self.close(found[key], tile)

    def close(self, left, right):
        """Asserts that two arrays are equal but for rounding."""
        if left.dtype.names:
            for name in left.dtype.names:
                self.close(left[name], right[name])
        elif left.dtype.kind in "fc":
            rtol = 1e-4 if left.dtype.itemsize // (2 if left.dtype.kind == "c" else 1) == 4 else 1e-9
            scale = np.max(np.abs(right[np.isfinite(right)]), initial=1.0)
            np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol * float(scale))
        else:
            np.testing.assert_array_equal(left, right)

    def bytes_are_known(self, plans):
        """Claims that bytes can be known before the run: no holes, no tiles at unknown places.

        The keys of a tile of a tile need not fill a box: a part of a sum over one of them may lack tiles.
        """
        return all(
            is_dense(node.type)
            and not node.placement.is_scattered
            and (not node.placement.parts or all(is_plain(child.type) for child in node.children))
            for node in plan_order(*plans)
        )

    def typed(self, relation, tiles):
        """Asserts that tiles are what the static type says."""
        check_type(relation.expr, tiles)


@pytest.fixture(scope="session")
def agreement():
    return Agreement()


# -- clusters: one for all tests of a group, which run in one process -----------------------------


@pytest.fixture(scope="session")
def cluster():
    """Three workers, as `tra` starts them, for the tests of the group `dask`."""
    settings = {
        "distributed.scheduler.work-stealing": False,
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.limit": "1h",
    }
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


@pytest.fixture(scope="session")
def default_client():
    """A client of two workers with Dask's own defaults, for the tests of the group `benchmarks`."""
    clusters = pytest.importorskip("benchmarks.clusters")
    with clusters.dask_client(2) as connected:
        yield connected
