"""The page of rules is what the rules say of themselves, and each of them says it all."""

from pathlib import Path

import pytest

from tra.optimizer.rules.page import rules_page
from tra.optimizer.rules.registry import RULES
from tra.optimizer.rules.rule import Rule

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"


def test_the_page_is_up_to_date():
    advice = "write it with: python -m tra.optimizer.rules.page > docs/rules.md"
    assert PAGE.read_text(encoding="utf-8") == rules_page(), advice


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_law_and_a_source(rule):
    assert rule.law and rule.source
    assert not isinstance(rule, Rule) or rule.condition
    assert "\n" not in rule.source and f"| `{rule.name}` | {rule.rule_class} |" in rules_page()
