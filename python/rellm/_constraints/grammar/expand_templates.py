"""Expands templates (`_sep{item, ","}`) to rules, one for each list of arguments."""

from __future__ import annotations

from rellm._constraints.grammar.failures import failure, near_names
from rellm._constraints.grammar.rule_tree import Call, Expr, Ref, Rule, RuleSet, rebuild, walk

_MAX_EXPANSIONS = 5_000


def expand_templates(grammar: RuleSet) -> None:
    """Replaces each use of a template by a reference to its expanded rule.

    Raises:
        GrammarError: an unknown template, a wrong number of arguments, or arguments that grow without end.
    """
    templates = {name: rule for name, rule in grammar.rules.items() if rule.parameters}
    if not templates and not any(isinstance(expr, Call) for rule in grammar.rules.values() for expr in walk(rule.body)):
        return
    rules = {name: rule for name, rule in grammar.rules.items() if not rule.parameters}
    made: dict[Call, str] = {}
    waiting: list[tuple[Rule, dict[str, Expr]]] = []

    def use(call: Call, bound: dict[str, Expr]) -> Expr:
        template = templates.get(call.name)
        if template is None:
            raise failure(
                f"{call.name} is no template" if call.name in rules else f"the template {call.name} is not defined",
                call.place,
                f"define it as {call.name}{{name}}: …{near_names(call.name, templates)}",
            )
        if len(call.arguments) != len(template.parameters):
            raise failure(
                f"the template {call.name} takes {len(template.parameters)} arguments, not {len(call.arguments)}",
                call.place,
                f"pass one for each of {', '.join(template.parameters)}",
            )
        arguments = tuple(expand(argument, bound) for argument in call.arguments)
        concrete = Call(call.name, arguments)
        name = made.get(concrete)
        if name is None:
            if len(made) >= _MAX_EXPANSIONS:
                raise failure(
                    f"the template {call.name} expands to more than {_MAX_EXPANSIONS} rules",
                    template.place,
                    "a template that calls itself with ever larger arguments has no end",
                )
            name = made[concrete] = f"{call.name}{{{len(made)}}}"
            rule = Rule(
                name,
                template.body,
                template.place,
                template.is_terminal,
                (),
                template.keep_tokens,
                template.inline_single,
                source=template.name,
                generated=True,
            )
            rules[name] = rule
            waiting.append((rule, dict(zip(template.parameters, arguments, strict=True))))
        return Ref(name, call.place)

    def expand(expr: Expr, bound: dict[str, Expr]) -> Expr:
        if isinstance(expr, Call):
            return use(expr, bound)
        if isinstance(expr, Ref):
            if expr.name in bound:
                return bound[expr.name]
            if expr.name in templates:
                raise failure(
                    f"the template {expr.name} needs its arguments",
                    expr.place,
                    f"write {expr.name}{{{', '.join(templates[expr.name].parameters)}}}",
                )
            return expr
        return rebuild(expr, lambda part: expand(part, bound))

    for rule in list(rules.values()):
        rule.body = expand(rule.body, {})
    grammar.ignored = [expand(expr, {}) for expr in grammar.ignored]
    while waiting:
        rule, bound = waiting.pop()
        rule.body = expand(rule.body, bound)
    grammar.rules = rules
