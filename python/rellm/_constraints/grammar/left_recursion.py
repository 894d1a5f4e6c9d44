"""Replaces left recursion, which the automaton cannot unfold, by repetition or right recursion.

A rule is left-recursive if it can reach itself at the beginning of its own body, after nullable parts. For a group of
rules that reach each other in this way, write each rule's non-empty texts as

    A_i = T_i | A_j r_ji | …

where T_i begins with no rule of the group. The solution is A_i = T_j N_ji, where N_ji are the texts that lead from a
finished A_j to an A_i: N_ji = [j = i] | r_jk N_ki. For one rule alone this is the loop `T r*`; for more it is right
recursion, quadratic in the number of rules and never exponential (the matrix form of Rosenkrantz, *Matrix equations and
normal forms for context-free grammars*, 1967). Nullable rules are first split into their non-empty texts and the empty
one, so recursion after nullable parts is not a special case. Cycles of unit rules (`a: b`, `b: a`) are resolved before
N is written.
"""

from __future__ import annotations

from collections.abc import Iterable

from rellm._constraints.grammar.check_rules import components, is_nullable, nullable_rules
from rellm._constraints.grammar.failures import failure
from rellm._constraints.grammar.rule_tree import (
    ANY_CHAR,
    EMPTY,
    NEVER,
    Alt,
    Both,
    Expr,
    Look,
    Loop,
    Place,
    Ref,
    Seq,
    alt,
    loop,
    seq,
    size,
)

_MAX_GROWTH = 20
_SMALL = 1_000


def eliminate_left_recursion(bodies: dict[str, Expr], places: dict[str, Place]) -> dict[str, Expr]:
    """Equivalent rules without left recursion; `places` has the place of each rule, for errors.

    Raises:
        GrammarError: the rules would grow more than twentyfold, or a lookaround stands before a left-recursive rule.
    """
    return _Elimination(bodies, places).run()


class _Elimination:
    def __init__(self, bodies: dict[str, Expr], places: dict[str, Place]) -> None:
        self._bodies = bodies
        self._places = places
        self._nullable = nullable_rules(bodies)
        self._made: dict[str, Expr] = {}
        self._groups: set[str] = set()
        self._wanted: list[str] = []

    def run(self) -> dict[str, Expr]:
        edges = {name: self._first(body) for name, body in self._bodies.items()}
        groups = [group for group in components(edges) if len(group) > 1 or group[0] in edges[group[0]]]
        if not groups:
            return self._bodies
        self._groups = {name for group in groups for name in group}
        result = dict(self._bodies)
        for group in groups:
            self._solve(sorted(group))
        while self._wanted:
            name = self._wanted.pop()
            if name not in self._groups and _non_empty_name(name) not in self._made:
                self._made[_non_empty_name(name)] = self._non_empty(self._bodies[name])
        result.update(self._made)
        return result

    def _first(self, expr: Expr) -> set[str]:
        """The rules that can come first, after nullable parts."""
        match expr:
            case Ref(name):
                return {name}
            case Seq(parts):
                found: set[str] = set()
                for part in parts:
                    found |= self._first(part)
                    if not is_nullable(part, self._nullable):
                        break
                return found
            case Alt(parts):
                return set().union(*map(self._first, parts))
            case Loop(body, _, _):
                return self._first(body)
            case _:
                return set()

    def _solve(self, group: list[str]) -> None:
        heads: dict[str, dict[str, list[Expr]]] = {}
        before = 0
        for name in group:
            heads[name] = {}
            rest = self._split(self._bodies[name], set(group), heads[name], name)
            self._made[_base_name(name)] = alt(*rest)
            before += size(self._bodies[name])
        alone = len(group) == 1
        if not alone:
            self._check_growth(group, before, len(group) ** 2)
        for name in group:
            whole = self._loop(name, heads[name]) if alone else self._ways(name, group, heads)
            if name in self._nullable:
                self._made[_non_empty_name(name)] = whole
                whole = alt(Ref(_non_empty_name(name)), EMPTY)
            self._made[name] = whole
        if not alone:
            self._write_tails(group, heads)
        made = [key for key in self._made if any(key == name or key.startswith(f"{name}:") for name in group)]
        self._check_growth(group, before, sum(size(self._made[name]) for name in made))

    def _check_growth(self, group: list[str], before: int, after: int) -> None:
        if after > max(_MAX_GROWTH * before, _SMALL):
            raise failure(
                f"the rules {', '.join(group[:5])}{' …' if len(group) > 5 else ''} begin with each other, and without "
                f"this left recursion they would be {after // max(before, 1)} times as large (at most {_MAX_GROWTH})",
                self._places.get(group[0], (0, 0)),
                "write them as repetition: a: b (x b)*",
            )

    def _loop(self, name: str, heads: dict[str, list[Expr]]) -> Expr:
        again = alt(*(self._non_empty(rest) for rest in heads.get(name, [])))
        return seq(self._made[_base_name(name)], loop(again, 0, None))

    def _ways(self, name: str, group: list[str], heads: dict[str, dict[str, list[Expr]]]) -> Expr:
        """For each rule of the group that can begin this one, the texts that lead from it to this one."""
        begun = {name}
        waiting = [name]
        while waiting:
            for other in heads[waiting.pop()]:
                if other not in begun:
                    begun.add(other)
                    waiting.append(other)
        return alt(
            *(
                seq(Ref(_base_name(other)), Ref(_tail_name(other, name)))
                for other in group
                if other in begun and self._made[_base_name(other)] != NEVER
            )
        )

    def _write_tails(self, group: list[str], heads: dict[str, dict[str, list[Expr]]]) -> None:
        step: dict[str, dict[str, list[Expr]]] = {name: {} for name in group}  # from j to k: the texts r_jk
        unit: dict[str, set[str]] = {name: {name} for name in group}
        for target, by_head in heads.items():
            for head, rests in by_head.items():
                for rest in rests:
                    step[head].setdefault(target, []).append(self._non_empty(rest))
                    if is_nullable(rest, self._nullable):
                        unit[head].add(target)
        changed = True
        while changed:
            changed = False
            for reached in unit.values():
                more = set().union(*(unit[other] for other in reached))
                if not more <= reached:
                    reached |= more
                    changed = True
        for source in group:
            for target in group:
                ways: list[Expr] = [EMPTY] if target in unit[source] else []
                for middle in sorted(unit[source]):
                    for following, texts in step[middle].items():
                        text = alt(*texts)
                        if text != NEVER:
                            ways.append(seq(text, Ref(_tail_name(following, target))))
                self._made[_tail_name(source, target)] = alt(*ways)
        self._trim_tails(group)

    def _trim_tails(self, group: list[str]) -> None:
        """Removes tails that never reach an end."""
        names = {_tail_name(source, target) for source in group for target in group}
        arriving: set[str | None] = {None}
        while True:
            more: set[str | None] = {
                name
                for name in names - arriving
                if any(_tail_of(way, names) in arriving for way in _ways_of(self._made[name]))
            }
            if not more:
                break
            arriving |= more
        for name in names:
            if name not in arriving:
                del self._made[name]
                continue
            ways = _ways_of(self._made[name])
            self._made[name] = alt(*(way for way in ways if _tail_of(way, names) in arriving))
        for name in group:
            for key in (name, _non_empty_name(name)):
                if key in self._made:
                    ways = _ways_of(self._made[key])
                    self._made[key] = alt(*(way for way in ways if _tail_of(way, names) in arriving))

    def _split(self, expr: Expr, group: set[str], heads: dict[str, list[Expr]], name: str) -> list[Expr]:
        """The non-empty texts that begin with no rule of the group; the others go to `heads`, by that rule."""
        if isinstance(expr, Ref) and expr.name in group:
            heads.setdefault(expr.name, []).append(EMPTY)
            return []
        if not self._first(expr) & group:
            rest = self._non_empty(expr)
            return [] if rest == NEVER else [rest]
        match expr:
            case Alt(parts):
                return [rest for part in parts for rest in self._split(part, group, heads, name)]
            case Seq(parts):
                found: list[Expr] = []
                for index, part in enumerate(parts):
                    if isinstance(part, Look):
                        raise failure(
                            f"a lookaround stands before the rule {name}, which is left-recursive there",
                            self._places.get(name, (0, 0)),
                            f"write {name} as repetition: a: b (x b)*",
                        )
                    own: dict[str, list[Expr]] = {}
                    found += [seq(rest, *parts[index + 1 :]) for rest in self._split(part, group, own, name)]
                    for head, rests in own.items():
                        heads.setdefault(head, []).extend(seq(rest, *parts[index + 1 :]) for rest in rests)
                    if not is_nullable(part, self._nullable):
                        break
                return found
            case Loop(body, minimum, maximum):
                if is_nullable(body, self._nullable):
                    minimum = 0
                more = loop(body, max(minimum - 1, 0), None if maximum is None else maximum - 1)
                return self._split(Seq((body, more)) if more != EMPTY else body, group, heads, name)
            case _:
                raise AssertionError(expr)

    def _non_empty(self, expr: Expr) -> Expr:
        """The non-empty texts of an expression."""
        if not is_nullable(expr, self._nullable):
            return expr
        match expr:
            case Ref(name):
                self._wanted.append(name)
                return Ref(_non_empty_name(name))
            case Alt(parts):
                return alt(*(part for part in map(self._non_empty, parts) if part != NEVER))
            case Seq(parts):
                ways = [seq(self._non_empty(part), *parts[index + 1 :]) for index, part in enumerate(parts)]
                return alt(*(way for way in ways if way != NEVER))
            case Loop(body, minimum, maximum):
                one = self._non_empty(body)
                if one == NEVER:
                    return NEVER
                minimum = 0 if is_nullable(body, self._nullable) else max(minimum - 1, 0)
                return seq(one, loop(body, minimum, None if maximum is None else maximum - 1))
            case Look():
                return NEVER
            case _:
                return Both((expr, loop(ANY_CHAR, 1, None)))


def _ways_of(expr: Expr) -> tuple[Expr, ...]:
    return expr.parts if isinstance(expr, Alt) else (expr,)


def _tail_of(way: Expr, names: Iterable[str]) -> str | None:
    last = way.parts[-1] if isinstance(way, Seq) and way.parts else way
    return last.name if isinstance(last, Ref) and last.name in names else None


# Names of users contain no ":", so these names are unique.
def _base_name(name: str) -> str:
    return f"{name}:base"


def _non_empty_name(name: str) -> str:
    return f"{name}:some"


def _tail_name(source: str, target: str) -> str:
    return f"{source}:to:{target}"
