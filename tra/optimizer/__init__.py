"""From an expression to the cheapest plan: the plan language, placements, rules, cost, search, explain."""
