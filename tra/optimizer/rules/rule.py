"""What a rule is: a function that always helps, or a name that the search chooses among others."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import getdoc
from operator import attrgetter
from typing import Any, Literal

RuleClass = Literal["structural", "regroup", "distribute"]


@dataclass(frozen=True)
class Rule:
    """A rule that always helps.

    Attributes:
        function: from a node to an equal node, or None where the rule does not apply.
        rule_class: the class of equality it claims.
        absorbs: the operand is made part of the new node; another user of it would make it again.
        absorbed: which nodes those are, where it is not all operands.
    """

    function: Callable[[Any], Any]
    rule_class: RuleClass
    absorbs: bool = False
    absorbed: Callable[[Any], Sequence[Any]] = attrgetter("children")

    @property
    def name(self) -> str:
        """The name of the rule, by which it is shown and switched off."""
        return self.function.__name__

    @property
    def law(self) -> str:
        """What it claims to be equal: the first line of what is written about it."""
        return self._written.partition("\n\n")[0]

    @property
    def condition(self) -> str:
        """When it applies."""
        return self._section("Applies when")

    @property
    def source(self) -> str:
        """The paper or system that is the authority."""
        return self._section("Source")

    @property
    def _written(self) -> str:
        return getdoc(self.function) or ""

    def _section(self, title: str) -> str:
        """What follows a title, up to the next title or empty line."""
        found = re.search(
            rf"^{title}: (.*?)(?=\n[A-Z][a-z ]*:|\n\n|\Z)", self._written, re.DOTALL | re.MULTILINE
        )
        return " ".join(found[1].split()) if found else ""


@dataclass(frozen=True)
class PricedRule:
    """A rule that helps or does not: the search applies it where the plan gets cheaper.

    Attributes:
        name: the name of the rule.
        rule_class: the class of equality it claims.
        law: what it claims to be equal.
        source: the paper or system that is the authority.
    """

    name: str
    rule_class: RuleClass
    law: str
    source: str
