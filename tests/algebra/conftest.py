"""Everything in this folder runs on the reference evaluator, which also checks the type of every result."""

import pytest

from tra.testing import reference_session


@pytest.fixture(autouse=True, scope="module")
def reference():
    with reference_session() as session:
        yield session
