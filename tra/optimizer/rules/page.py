"""The page that lists all rules: `python -m tra.optimizer.rules.page > docs/rules.md` writes it."""

from __future__ import annotations

from collections.abc import Iterable

from tra.optimizer.rules.registry import CLEAN_UP, FORMS, NORMALISE, STRATEGIES, AnyRule
from tra.optimizer.rules.rule import Rule

_START = """\
# Rules

Everything the optimizer does to a query is a rule with a name. What the rules say of themselves stands here;
`python -m tra.optimizer.rules.page > docs/rules.md` writes it. [Explain](explain.md) shows which of them
made a plan. A rule is switched off by its name, for instance
`tra.connect(..., without=["contraction_reassociate", "broadcast left"])`; where a strategy is all that an
operator has, it stays. Of a strategy that is made of two, such as `co-partition, aggregate before shuffle`,
either name will do.

The class says what may change in a result:

* *structural*: data are moved or work is dropped, and no bit changes.
* *regroup*: a fold takes its tiles in another order; floating-point sums may round otherwise.
* *distribute*: other products are formed; floating-point results may round otherwise.

In the laws σ is filter, ReKey and λ change keys and tiles, Σ_g aggregates to the keys g, ⋈ joins; an
exponent ᴸ says that each site works on what it has; SHUF and BCAST are the exchanges. R1-1 to R3 are the
rules of Yuan et al., *Tensor Relational Algebra for Distributed Machine Learning System Design*, PVLDB
14(8), 2021; *own* rules are not in that paper.
"""
_PARTS = (
    ("Rules on expressions", "Applied wherever they can be, before anything is chosen.", NORMALISE),
    ("Forms", "Chosen by cost: in which order products are formed, and of what.", FORMS),
    ("Strategies", "Chosen by cost: where each operator runs, and what is sent for it.", STRATEGIES),
    ("Rules on plans", "Applied wherever they can be, to the plan that was chosen.", CLEAN_UP),
)


def rules_page() -> str:
    """The page as text.

    Example:
        >>> print(rules_page().splitlines()[0])
        # Rules
    """
    return "\n".join([_START, *(_part(*part) for part in _PARTS)])


def _part(title: str, text: str, rules: Iterable[AnyRule]) -> str:
    found = list(rules)
    columns = ["rule", "class", "law", "source"]
    if any(isinstance(rule, Rule) for rule in found):
        columns.insert(3, "applies when")
    rows = [columns, ["---"] * len(columns), *(_cells(rule) for rule in found)]
    return "\n".join([f"## {title}", "", text, "", *(f"| {' | '.join(row)} |" for row in rows), ""])


def _cells(rule: AnyRule) -> list[str]:
    when = [rule.condition] if isinstance(rule, Rule) else []
    cells = [f"`{rule.name}`", rule.rule_class, rule.law, *when, rule.source]
    return [" ".join(cell.split()).replace("|", "\\|").removesuffix(".") for cell in cells]


if __name__ == "__main__":
    print(rules_page(), end="")
