"""An explanation as text: the query, rules in order, the plan by stages, prices, figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from tra.algebra.counted import counted
from tra.optimizer.figures import percent, readable

_WIDTH = 110
_MAX_FORMS = 8
_ROWS = ("bytes_moved", "flops", "peak_bytes_per_site", "tasks", "seconds")
_CONSTANTS = {
    "bandwidth": "a site receives {}/s",
    "latency": "an exchange takes {}",
    "flop_rate": "products {}/s",
    "half_edge": "half that at edge {}",
    "single_speedup": "×{} in float32",
    "element_rate": "other kernels {}/s",
    "memory_bandwidth": "memory {}/s",
    "upload": "the client sends {}/s",
}
_UNITS = {
    "bandwidth": "bytes", "latency": "seconds", "flop_rate": "flops", "element_rate": "flops",
    "memory_bandwidth": "bytes", "upload": "bytes",
}  # fmt: skip


def explanation_text(facts: Mapping[str, Any]) -> str:
    r"""The text of what `Explanation.to_dict` says.

    Example:
        >>> import tra
        >>> with tra.connect("local", threads=1) as session:
        ...     facts = session.explain(tra.from_array([1.0, 2.0], name="A") + 1).to_dict()
        >>> print("\n".join(explanation_text(facts).splitlines()[-9:-7]))
        constants, fixed
          products 20 Gflop/s, other kernels 5 Gflop/s, memory 5 GB/s
    """
    parts = [
        _titled("query", (facts["query"] or "").strip().splitlines()),
        _titled("rules", [f"{name} ×{times}" for name, times in facts["rules"]]),
        _titled("forms", _form_lines(facts)),
        _titled("rounds", _round_lines(facts["rounds"])),
        [_heading(facts), *_indented(_plan_lines(facts["nodes"]))],
        _titled("passes", map(_pass_line, facts["passes"])),
        list(_strategy_lines(facts)),
        _constant_lines(facts["model"], facts["sites"]),
        list(_figure_lines(facts)),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _form_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """What became of sums of products, and what whole plans of other forms would cost."""
    for form in facts["forms"]:
        yield f"{form['result']}: {form['rule']}, {form['order']}"
    unit, others = facts["price"]["unit"], facts["considered"][1 : 1 + _MAX_FORMS]
    prices = [
        f"{', '.join(form['orders'])} {'at least ' * form['is_floor']}{readable(unit, form['price'])}"
        for form in others
    ]
    if prices:
        yield from wrap("not " + "; ".join(prices), _WIDTH, initial_indent="  ", subsequent_indent="  ")
    for note in facts["notes"]:
        yield from wrap(note, _WIDTH, subsequent_indent="  ")


def _pass_line(one: Mapping[str, Any]) -> str:
    """A pass: what it makes, its loops, what it holds and reads."""
    loops = " × ".join(f"{loop['windows']} of {loop['key']}" for loop in one["loops"]) or "one window"
    ahead = ", the next ones read ahead" if one["reads_ahead"] else ""
    spilled = f", {readable('bytes', one['bytes_spilled'])} to disk" if one["bytes_spilled"] else ""
    return (
        f"{', '.join(one['results'])}: {loops}{ahead}; {readable('bytes', one['resident_bytes'])} resident, "
        f"{readable('bytes', one['bytes_read'])} read{spilled}"
    )


def _round_lines(rounds: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is cut into windows, where the query does not fit the sites as one."""
    cut = [f"{one['windows']} windows of {one['key']}" for one in rounds if not one["folds"]]
    folded = [f"{one['windows']} ranges of {one['key']}" for one in rounds if one["folds"]]
    result = (
        [f"the result in {' × '.join(cut)}, one after the other; the plan is the first one's"] if cut else []
    )
    return result + ([f"a fold over {' × '.join(folded)}, added up before the plan runs"] if folded else [])


def _titled(title: str, lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    return [title, *_indented(lines)] if lines else []


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _heading(facts: Mapping[str, Any]) -> str:
    mesh = f" as {'×'.join(map(str, facts['mesh']))}" if len(facts["mesh"]) > 1 else ""
    digest = facts["digest"][:8]
    return f"plan {digest} for {facts['backend']}, {counted(facts['sites'], 'site')}{mesh}{_promise(facts)}"


def _promise(facts: Mapping[str, Any]) -> str:
    """What is promised of bits, and what that costs."""
    level, price = facts["reproducible"]["level"], facts["reproducible"]["price"]
    is_priced = level not in ("off", "run")
    return f", reproducible={level!r}" + is_priced * f" for {price:.2g} times the price of 'run'"


def _plan_lines(nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """By stages, each node once, as ``r3 := operator(r1, r2)``; first what sites hold already."""
    stage = None
    for node in nodes:
        if node["stage"] != stage:
            stage = node["stage"]
            yield f"stage {stage}" if stage else "given"
        figures = f"{_moves(node)}{_holes(node)}"
        yield f"  {node['name']} := {node['text']}  {node['type']}, {node['placement']}{figures}"


def _moves(node: Mapping[str, Any]) -> str:
    figures = node["bytes_moved"]
    if figures is None:
        return ""
    found = figures["measured"]
    measured = "" if found is None else f" (measured {readable('bytes', found)})"
    return f"  moves {readable('bytes', figures['predicted'])}{measured}"


def _holes(node: Mapping[str, Any]) -> str:
    """How much of a relation with holes is there, as assumed and as met."""
    parts = []
    for name, what in (("density", "tiles"), ("pairs", "pairs")):
        if node[name] is not None:
            met = node[name]["measured"]
            found = "" if met is None else f" (met {percent(met)})"
            parts.append(f"{percent(node[name]['predicted'])} of {what}{found}")
    return f"  {', '.join(parts)}" if parts else ""


def _strategy_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The strategy of each operator that had a choice, and what the plan would cost with others."""
    unit, total = facts["price"]["unit"], facts["price"]["total"]
    shown = [s for s in facts["strategies"] if s["hinted"] or len(s["alternatives"]) > 1]
    proven = "optimal" if facts["optimal"] else "bounded"
    if not shown:
        yield f"strategies, {proven}: nothing to choose"
        return
    sent = " sent, in the paper's count" if unit == "elements" else ""
    yield f"strategies, {proven}: {readable(unit, total)}{sent} for the whole plan, and with others instead"
    for entry in shown:
        chosen = entry["strategy"] + ", as hinted" * entry["hinted"]
        yield f"  {entry['operator']}: {chosen}"
        others = {rule: price for rule, price in entry["alternatives"].items() if rule != entry["strategy"]}
        lost = "; ".join(f"{rule} {readable(unit, price)}" for rule, price in others.items())
        yield from (
            wrap(f"not {lost}", _WIDTH, initial_indent="    ", subsequent_indent="    ") if lost else ()
        )


def _constant_lines(model: Mapping[str, Any], n_sites: int) -> list[str]:
    """The constants in force; the paper's count has none."""
    if model["paper"]:
        return []
    unused = {("single_speedup", 1.0)}
    if n_sites == 1:
        unused |= {(name, model[name]) for name in ("bandwidth", "latency")}
    phrases = []
    for name, phrase in _CONSTANTS.items():
        figure = model[name]
        if figure and (name, figure) not in unused:
            shown = readable(_UNITS[name], figure) if name in _UNITS else f"{figure:.3g}"
            phrases.append(phrase.format(shown))
    return [
        f"constants, {model['from']}",
        *wrap(", ".join(phrases), _WIDTH, initial_indent="  ", subsequent_indent="  "),
    ]


def _figure_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    is_measured = facts["tasks"]["measured"] is not None
    yield f"{'':22}{'predicted':>12}" + (f"{'measured':>12}" if is_measured else "")
    for name in _ROWS:
        columns = ["predicted", "measured"] if is_measured else ["predicted"]
        values = [facts[name][column] for column in columns]
        if all(value is None for value in values):
            continue
        row = "".join(f"{'' if value is None else readable(name, value):>12}" for value in values)
        yield f"{name.replace('_', ' '):22}{row}".rstrip()
    if facts["price"]["unit"] == "elements":
        yield f"{'elements sent':22}{facts['price']['total']:>12,.0f}"
