"""What tests of rules share: relations that the algebra allows, and a rule held to its law on them."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.long import examples
from tra.errors import TraError
from tra.optimizer.rules.check import check_rule
from tra.optimizer.rules.registry import NORMALISE
from tra.testing import relations


def keyed(n_keys=1, **more):
    """Relations with at least so many keys."""
    return relations(**more).filter(lambda relation: len(relation.keys) >= n_keys)


@st.composite
def some(draw, keys, least=0):
    """Some keys, in any order."""
    return draw(st.permutations(keys))[: draw(st.integers(least, len(keys)))]


def drawn(build):
    """What `build` makes, where the algebra allows it."""
    try:
        return build()
    except TraError:
        assume(False)


def names_of(*modules):
    """The rules that are defined in some modules, by name."""
    places = {module.__name__ for module in modules}
    return {rule.name for rule in NORMALISE if rule.function.__module__ in places}


def check_fires(rule, lawful, n_examples):
    """Asserts that a rule fires on some relations of a strategy, and keeps the meaning of all of them."""
    fired = []

    @examples(n_examples)
    @given(lawful)
    def check(relation):
        fired.append(check_rule(rule, relation.expr, relation.sources))

    check()
    assert sum(fired), f"rule {rule.__name__} never fired"


def check_stays(rule, unlawful, n_examples):
    """Asserts that a rule does not apply to any relation of a strategy."""

    @examples(n_examples)
    @given(unlawful)
    def check(relation):
        assert rule(relation.expr) is None, f"rule {rule.__name__} fired on {relation}"

    check()
