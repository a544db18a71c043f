"""Two tiers of tests: the ordinary one takes minutes, the long one (`make test-long`) what it takes.

Tests name how much they do in the long tier; one factor makes it less in the ordinary one.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

LONG = os.environ.get("TRA_LONG_TESTS") == "1"
FACTOR = 1 if LONG else 0.07  # so that all of it takes a machine of two cores seven minutes
only_long = pytest.mark.skipif(not LONG, reason="it takes long: make test-long")


def sample(n, least=1):
    """How many of `n` random cases this tier tries, and no fewer than `least`."""
    return max(least, round(n * FACTOR))


def examples(n):
    """Settings of a test that draws `n` examples in the long tier.

    Queries take long to draw and to evaluate, and the algebra refuses many: neither is a fault.
    """
    usual = [
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ]
    return settings(max_examples=sample(n), deadline=None, suppress_health_check=usual)
