"""Checks rules before they are built: undefined names, rules without a text, misplaced operators."""

from __future__ import annotations

from collections.abc import Callable

from rellm._constraints.grammar.failures import failure, near_names
from rellm._constraints.grammar.patterns import pattern_is_nullable
from rellm._constraints.grammar.rule_tree import (
    NEVER,
    Aliased,
    Alt,
    Both,
    Expr,
    Look,
    Loop,
    Note,
    Other,
    Pattern,
    Ref,
    Rule,
    RuleSet,
    Seq,
    children,
    rebuild,
    walk,
)


def check_rules(grammar: RuleSet) -> None:
    """Checks all rules, removes unused rules, and removes alternatives that derive no text.

    Raises:
        GrammarError: an undefined name; a start without a text; `&` or `~` on something recursive; a terminal that
            refers to a rule.
    """
    rules = grammar.rules
    if grammar.start not in rules:
        raise failure(
            f"the grammar has no rule {grammar.start}" + (" to start with" if not rules else ""),
            next(iter(rules.values())).place if rules else (1, 1),
            f"define it, or pass start= with the name of another rule{near_names(grammar.start, rules)}",
        )
    for rule in rules.values():
        for ref in _refs(rule.body):
            _check_reference(ref, rule, rules)
    for expr in grammar.ignored:
        for ref in _refs(expr):
            _check_reference(ref, None, rules)
    _drop_unused(grammar)
    _check_boolean(grammar)
    _drop_unproductive(grammar)


def nullable_rules(bodies: dict[str, Expr]) -> set[str]:
    """The rules that derive the empty text."""
    return _fixpoint(bodies, is_nullable)


def is_nullable(expr: Expr, nullable: set[str]) -> bool:
    """Whether the expression derives the empty text, if exactly these rules do."""
    match expr:
        case Seq(parts) | Both(parts):
            return all(is_nullable(part, nullable) for part in parts)
        case Alt(parts):
            return any(is_nullable(part, nullable) for part in parts)
        case Loop(body, minimum, _):
            return minimum == 0 or is_nullable(body, nullable)
        case Ref(name):
            return name in nullable
        case Other(body):
            return not is_nullable(body, nullable)
        case Aliased(body, _):
            return is_nullable(body, nullable)
        case Pattern(source, flags):
            return pattern_is_nullable(source, flags)
        case Look():
            return True
        case _:
            return False


def recursive_rules(bodies: dict[str, Expr]) -> set[str]:
    """The rules that can reach themselves."""
    edges = {name: {ref.name for ref in _refs(body)} for name, body in bodies.items()}
    return {name for group in components(edges) for name in group if len(group) > 1 or name in edges[name]}


def components(edges: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of a graph, those that are reached first (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, following = work[-1]
            for other in following:
                if other not in edges:
                    continue
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(edges[other])))
                    break
                if other in on_stack:
                    low[name] = min(low[name], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    group: list[str] = []
                    while not group or group[-1] != name:
                        group.append(stack.pop())
                        on_stack.discard(group[-1])
                    found.append(group)
    return found


def _check_reference(ref: Ref, rule: Rule | None, rules: dict[str, Rule]) -> None:
    found = rules.get(ref.name)
    if found is None:
        what = "terminal" if ref.name.lstrip("_")[:1].isupper() else "rule"
        raise failure(
            f"{what} {ref.name} is not defined",
            ref.place,
            f"define or import it{near_names(ref.name, rules)}",
        )
    if (rule is None or rule.is_terminal) and not found.is_terminal:
        where = f"terminal {rule.name}" if rule is not None else "%ignore"
        raise failure(
            f"{where} refers to the rule {ref.name}",
            ref.place,
            "terminals are made of terminals: write its name in capitals where it is defined, or make this one a rule",
        )


def _drop_unused(grammar: RuleSet) -> None:
    waiting, seen = [grammar.start], {grammar.start}
    for expr in grammar.ignored:
        for ref in _refs(expr):
            if ref.name not in seen:
                seen.add(ref.name)
                waiting.append(ref.name)
    while waiting:
        for ref in _refs(grammar.rules[waiting.pop()].body):
            if ref.name not in seen:
                seen.add(ref.name)
                waiting.append(ref.name)
    grammar.rules = {name: rule for name, rule in grammar.rules.items() if name in seen}


def _check_boolean(grammar: RuleSet) -> None:
    recursive: set[str] | None = None
    for rule in grammar.rules.values():
        for node in walk(rule.body):
            if not isinstance(node, (Both, Other)):
                continue
            if recursive is None:
                recursive = recursive_rules({name: rule.body for name, rule in grammar.rules.items()})
            for ref in _refs(node):
                if ref.name in recursive:
                    sign = "&" if isinstance(node, Both) else "~"
                    raise failure(
                        f"{sign} stands on {ref.name}, which is recursive",
                        ref.place if ref.place != (0, 0) else rule.place,
                        "intersections and complements of what is not recursive are read: use a terminal",
                    )


def _drop_unproductive(grammar: RuleSet) -> None:
    bodies = {name: rule.body for name, rule in grammar.rules.items()}
    productive = _fixpoint(bodies, _has_text)
    if len(productive) == len(bodies):
        return
    start = grammar.rules[grammar.start]
    if grammar.start not in productive:
        stuck = next(ref for ref in [*_refs(start.body), Ref(grammar.start)] if ref.name not in productive)
        raise failure(
            f"no text ends: the rule {grammar.start} needs {stuck.name}, which always needs itself again",
            grammar.rules[stuck.name].place,
            f"give {stuck.name} an alternative without {stuck.name}",
        )
    for name, rule in grammar.rules.items():
        if name not in productive:
            grammar.notes.append(
                Note(
                    rule.place,
                    name,
                    "suspicious",
                    f"{name} has no text: it always needs itself again, so alternatives with it are left out",
                    f"give {name} an alternative without {name}",
                )
            )
    for rule in grammar.rules.values():
        rule.body = _without(rule.body, productive)
    _drop_unused(grammar)


def _without(expr: Expr, productive: set[str]) -> Expr:
    if isinstance(expr, Ref):
        return expr if expr.name in productive else NEVER
    changed = rebuild(expr, lambda part: _without(part, productive))
    if isinstance(changed, (Seq, Alt)) and NEVER in changed.parts:
        return NEVER if isinstance(changed, Seq) else Alt(tuple(part for part in changed.parts if part != NEVER))
    return NEVER if changed != NEVER and NEVER in children(changed) and isinstance(changed, Both) else changed


def _has_text(expr: Expr, productive: set[str]) -> bool:
    match expr:
        case Ref(name):
            return name in productive
        case Alt(parts):
            return any(_has_text(part, productive) for part in parts)
        case Loop(_, 0, _) | Other():
            return True
        case _:
            return all(_has_text(part, productive) for part in children(expr))


def _fixpoint(bodies: dict[str, Expr], holds: Callable[[Expr, set[str]], bool]) -> set[str]:
    """The least fixpoint of `holds`: a rule's body is tested again whenever a rule that it names has been added."""
    users: dict[str, set[str]] = {}
    for name, body in bodies.items():
        for ref in _refs(body):
            users.setdefault(ref.name, set()).add(name)
    found: set[str] = set()
    waiting = dict.fromkeys(reversed(bodies))
    while waiting:
        name, _ = waiting.popitem()
        if name not in found and holds(bodies[name], found):
            found.add(name)
            for user in users.get(name, ()):
                if user not in found:
                    waiting.setdefault(user)
    return found


def _refs(expr: Expr) -> list[Ref]:
    """The references of an expression, in their order."""
    found: list[Ref] = []
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Ref):
            found.append(node)
        else:
            waiting += reversed(children(node))
    return found
