"""What a rule is: a function that always helps, or a name that the search chooses among others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

RuleClass = Literal["structural", "regroup", "distribute"]


@dataclass(frozen=True)
class Rule:
    """A rule that always helps.

    Attributes:
        function: from a node to an equal node, or None where the rule does not apply.
        rule_class: the class of equality it claims.
        absorbs: the operand is made part of the new node; another user of it would make it again.
    """

    function: Callable[[Any], Any]
    rule_class: RuleClass
    absorbs: bool = False

    @property
    def name(self) -> str:
        """The name of the rule, by which it is shown and switched off."""
        return self.function.__name__


@dataclass(frozen=True)
class Alternative:
    """A rule with alternatives, which the search chooses among by cost.

    Attributes:
        name: the name of the rule.
        rule_class: the class of equality it claims.
    """

    name: str
    rule_class: RuleClass
