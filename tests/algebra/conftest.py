"""Everything in this folder runs on the reference evaluator, which also checks the type of every result."""

import pytest
from hypothesis import HealthCheck, settings

from tra.testing import reference_session

settings.register_profile(
    "algebra", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.load_profile("algebra")


@pytest.fixture(autouse=True, scope="module")
def reference():
    with reference_session() as session:
        yield session
