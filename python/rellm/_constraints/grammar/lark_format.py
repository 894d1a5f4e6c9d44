"""Reads grammars in Lark's format: context-free Lark files, and llguidance's additions.

Lark itself parses the text, with the syntax in `lark_syntax.lark`; this module makes rules of the tree. Features that
need a lexer (`%declare`, post-lexers) are refused; features that only choose between trees (priorities) are noted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from rellm._constraints.grammar.failures import failure, near_names, require_lark
from rellm._constraints.grammar.lark_syntax import first_place, parse_lark, place_of, unescaped
from rellm._constraints.grammar.rule_tree import (
    EMPTY,
    NEVER,
    Aliased,
    Alt,
    Both,
    Call,
    Chars,
    Embedded,
    Expr,
    Note,
    Other,
    Pattern,
    Place,
    Ref,
    Rule,
    RuleSet,
    Special,
    Text,
    alt,
    loop,
    rebuild,
    seq,
    walk,
)

_MAX_DEPTH = 100
_NO_EFFECT = {
    "capture": ("the name of a capture changes no string", "read named parts from the tree (value='tree')"),
    "temperature": ("a grammar sets no temperature", "pass temperature= to the generator"),
    "max_tokens": ("a budget of tokens is not a language", "build the part with .within(max_tokens=…)"),
}


def read_lark(source: str, start: str | None, path: Path | None = None) -> RuleSet:
    """Reads a grammar in Lark's format.

    Args:
        source: its text.
        start: the rule to start with, by default "start".
        path: the file it came from, for `%import .other`.

    Raises:
        GrammarError: the text is wrong, or is not context-free.
    """
    reader = _Reader(source, path)
    return RuleSet(reader.rules, start or "start", reader.ignored, reader.notes)


class _Reader:
    """One file: its definitions, with those that it imports."""

    def __init__(self, source: str, path: Path | None, module: str = "", above: tuple[str, ...] = ()) -> None:
        self.rules: dict[str, Rule] = {}
        self.ignored: list[Expr] = []
        self.notes: list[Note] = []
        self._source = source
        self._path = path
        self._module = module
        self._above = above
        self._depth = 0
        for item in parse_lark(source, module).children:
            if item is not None and getattr(item, "data", None) is not None:
                self._item(item)

    def _fail(self, what: str, place: Place, remedy: str) -> Exception:
        return failure(what, place, remedy, self._source, self._module)

    def _item(self, item: Any) -> None:
        kind = item.data
        if kind in ("rule", "terminal"):
            self._define(self._rule(item))
        elif kind == "ignore":
            self.ignored.append(self._expr(item.children[0]))
        elif kind == "import":
            (place, path), alias = self._import_path(item.children[0]), item.children[1]
            self._import(path[:-1], [(path[-1], str(alias or path[-1]))], place)
        elif kind == "multi_import":
            place, path = self._import_path(item.children[0])
            names = [(str(name.children[0]), str(name.children[1] or name.children[0])) for name in item.children[1:]]
            self._import(path, names, place)
        elif kind == "override":
            rule = self._rule(item.children[0])
            self._known(rule, "%override")
            self.rules[rule.name] = rule
        elif kind == "extend":
            rule = self._rule(item.children[0])
            known = self._known(rule, "%extend")
            known.body = alt(known.body, rule.body)
        elif kind == "declare":
            raise self._fail(
                "%declare needs a lexer of your own, which a grammar as a set of strings does not have",
                place_of(item.children[0]),
                "define the terminal by a regular expression, or leave out the rules that need it",
            )
        else:
            self._settings(item)

    def _settings(self, item: Any) -> None:
        token = item.children[0]
        self.notes.append(
            Note(place_of(token), "%llguidance", "not enforced", "settings of llguidance's lexer have no meaning here")
        )

    def _define(self, rule: Rule) -> None:
        known = self.rules.get(rule.name)
        if known is not None:
            where = (
                f"the first is at line {known.place[0]}" if not known.source else f"it is imported from {known.source}"
            )
            raise self._fail(
                f"{_kind(rule)} {rule.name} is defined twice ({where})",
                rule.place,
                "join the two with |, or write %override or %extend before the second",
            )
        self.rules[rule.name] = rule

    def _known(self, rule: Rule, statement: str) -> Rule:
        known = self.rules.get(rule.name)
        if known is None:
            raise self._fail(
                f"{statement} names {rule.name}, which is not defined before",
                rule.place,
                f"import it first{near_names(rule.name, self.rules)}",
            )
        return known

    def _rule(self, item: Any) -> Rule:
        token, parameters, attributes, priority, body = item.children
        written = str(token)
        name = written.lstrip("!?") or written
        modifiers = written[: len(written) - len(name)]
        place = place_of(token)
        rule = Rule(
            name,
            NEVER,
            place,
            is_terminal=item.data == "terminal",
            parameters=tuple(map(str, parameters.children)) if parameters is not None else (),
            keep_tokens="!" in modifiers,
            inline_single="?" in modifiers,
            priority=int(priority.children[0]) if priority is not None else None,
        )
        rule.body = self._expr(body)
        if rule.priority is not None:
            self.notes.append(
                Note(
                    place,
                    f"priority of {name}",
                    "annotation",
                    "a priority chooses between trees or tokens, and changes no string",
                    'where it decides what a lexer reads, use lexer="maximal"',
                )
            )
        if attributes is not None:
            self._attributes(rule, [item for item in attributes.children if item is not None])
        return rule

    def _attributes(self, rule: Rule, attributes: list[Any]) -> None:
        for attribute in attributes:
            name, value = str(attribute.children[0]), attribute.children[1]
            place = place_of(attribute.children[0])
            if name in _NO_EFFECT:
                why, remedy = _NO_EFFECT[name]
                self.notes.append(Note(place, f"{rule.name}[{name}]", "not enforced", why, remedy, "wider"))
            elif name == "lazy":
                rule.body = shortest(rule.body)
            elif name in ("stop", "suffix"):
                if value is None:
                    raise self._fail(f"the attribute {name} has no value", place, f'write [{name}="text"]')
                ending = self._literal(value)
                anything = loop(Chars(((0, 0x10FFFF),)), 0, None)
                more = loop(Chars(((0, 0x10FFFF),)), 1, None)
                rule.body = Both((seq(rule.body, ending), Other(seq(anything, ending, more))))
            else:
                raise self._fail(
                    f"the attribute {name} is unknown",
                    place,
                    "lazy, stop, suffix, capture, temperature and max_tokens are read: leave the others out",
                )

    def _literal(self, token: Any) -> Expr:
        return self._string(token) if token.type == "STRING" else self._regexp(token)

    def _expr(self, tree: Any) -> Expr:
        self._depth += 1
        if self._depth > 3 * _MAX_DEPTH:
            raise self._fail(
                f"parts are nested more than {_MAX_DEPTH} deep",
                first_place(tree),
                "give inner parts a rule of their own",
            )
        try:
            return _HANDLERS[tree.data](self, tree.children)
        finally:
            self._depth -= 1

    def _expansions(self, parts: list[Any]) -> Expr:
        return Alt(tuple(dict.fromkeys(map(self._expr, parts))))

    def _alias(self, parts: list[Any]) -> Expr:
        body = self._expr(parts[0])
        return body if parts[1] is None else Aliased(body, str(parts[1]))

    def _conjunction(self, parts: list[Any]) -> Expr:
        return Both(tuple(map(self._expr, parts)))

    def _sequence(self, parts: list[Any]) -> Expr:
        return seq(*map(self._expr, parts))

    def _operator(self, parts: list[Any]) -> Expr:
        minimum, maximum = {"?": (0, 1), "*": (0, None), "+": (1, None)}[str(parts[1])]
        return loop(self._expr(parts[0]), minimum, maximum)

    def _times(self, parts: list[Any]) -> Expr:
        minimum = int(parts[1])
        maximum = minimum if parts[2] is None else int(parts[2])
        return self._counted(parts[0], minimum, maximum, place_of(parts[1]))

    def _counted(self, body: Any, minimum: int, maximum: int | None, place: Place) -> Expr:
        if minimum < 0 or (maximum is not None and maximum < minimum):
            raise self._fail(
                f"a repetition of {minimum} to {maximum} times is empty", place, "write the smaller number first"
            )
        return loop(self._expr(body), minimum, maximum)

    def _braces(self, parts: list[Any]) -> Expr:
        low, comma, high = str(parts[1])[1:-1].partition(",")
        minimum = int(low) if low.strip() else 0
        maximum = minimum if not comma else int(high) if high.strip() else None
        return self._counted(parts[0], minimum, maximum, place_of(parts[1]))

    def _group(self, parts: list[Any]) -> Expr:
        return self._expr(parts[0])

    def _maybe(self, parts: list[Any]) -> Expr:
        return loop(self._expr(parts[0]), 0, 1)

    def _negation(self, parts: list[Any]) -> Expr:
        return Other(self._expr(parts[0]))

    def _char_range(self, parts: list[Any]) -> Expr:
        ends = []
        for token in parts:
            text = self._string(token)
            if not isinstance(text, Text) or len(text.text) != 1 or text.ignore_case:
                raise self._fail(
                    f"{token} is no end of a range",
                    place_of(token),
                    'write a range between single characters: "a".."z"',
                )
            ends.append(ord(text.text))
        if ends[0] > ends[1]:
            raise self._fail(f"the range {parts[0]}..{parts[1]} is empty", place_of(parts[0]), "swap its ends")
        return Chars(((ends[0], ends[1]),))

    def _reference(self, parts: list[Any]) -> Expr:
        return Ref(str(parts[0]).lstrip("!?"), place_of(parts[0]))

    def _string(self, token: Any) -> Expr:
        if not hasattr(token, "type"):
            token = token[0]
        written = str(token)
        ignore_case = written.endswith("i")
        text = unescaped(written[1 : -2 if ignore_case else -1])
        return Text(text, ignore_case and text.lower() != text.upper()) if text else EMPTY

    def _regexp(self, token: Any) -> Expr:
        if not hasattr(token, "type"):
            token = token[0]
        end = str(token).rindex("/")
        source, letters = str(token)[1:end].replace("\\/", "/"), str(token)[end + 1 :]
        flags = 0
        for letter in letters:
            if letter not in "imsxu":
                raise self._fail(f"the flag {letter} has no meaning for text", place_of(token), "leave it out")
            flags |= {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "u": re.U}[letter]
        try:
            re.compile(source, flags)
        except re.error as error:
            line, column = place_of(token)
            raise self._fail(
                f"the regular expression {token} is wrong: {error.msg}",
                (line, column + 1 + (error.pos or 0)),
                "write it as Python's re reads it",
            ) from None
        return Pattern(source, int(flags) & ~int(re.U))

    def _special(self, parts: list[Any]) -> Expr:
        token, place = parts[0], place_of(parts[0])
        text = str(token)
        if not text.startswith("<["):
            return Special(text, place=place)
        ids = []
        for one in text[2:-2].split(",") if text.endswith("]>") else [""]:
            low, _, high = one.partition("-")
            if not low.strip().isdigit() or not (high or low).strip().isdigit():
                raise self._fail(
                    f"{text} names no tokens", place, "write ids as <[7]> or <[7,10-12]>, or the name as <|name|>"
                )
            ids.append((int(low), int(high or low)))
        return Special(ids=tuple(ids), place=place)

    def _embedded(self, parts: list[Any]) -> Expr:
        token, place = parts[0], place_of(parts[0])
        kind, content = str(token)[1:].split("{", 1)
        kind, content = kind.strip(), "{" + content
        if kind == "lark":
            raise self._fail("%lark inside a rule is not read", place, "write its rules among the others")
        try:
            value = json.loads(content)
        except ValueError as error:
            raise self._fail(f"%{kind} is followed by no JSON object: {error}", place, "mend the JSON") from None
        if kind == "json":
            return Embedded(_schema(value))
        return self._substrings(value, place)

    def _substrings(self, value: Any, place: Place) -> Expr:
        """llguidance's `%regex {"substring_chars": …}`: any run of these pieces."""
        for key, split in _SUBSTRINGS.items():
            if set(value) == {key}:
                pieces = split(value[key])
                return alt(
                    EMPTY,
                    *(Text("".join(pieces[i:j])) for i in range(len(pieces)) for j in range(i + 1, len(pieces) + 1)),
                )
        raise self._fail(
            f"%regex with {', '.join(sorted(value)) or 'nothing'} is not read",
            place,
            f"one of {', '.join(_SUBSTRINGS)} is; write other regular expressions between slashes",
        )

    def _template_usage(self, parts: list[Any]) -> Expr:
        return Call(str(parts[0]), tuple(map(self._expr, parts[1:])), place_of(parts[0]))

    def _import_path(self, tree: Any) -> tuple[Place, list[str]]:
        tokens = [token for token in tree.children if token is not None]
        place = place_of(next(token for token in tokens if str(token) != "."))
        names = [str(token) for token in tokens if str(token) != "."]
        return place, ["." + names[0], *names[1:]] if str(tokens[0]) == "." else names

    def _import(self, path: list[str], names: list[tuple[str, str]], place: Place) -> None:
        source, file = self._find(path, place)
        module = "__".join(path).lstrip(".")
        if module in self._above:
            raise self._fail(f"{module} imports itself", place, "move what both need into a third file")
        found = _Reader(source, file, module, (*self._above, module))
        prefix = f"{module}__"
        renamed = dict(names)
        for name, _ in names:
            if name not in found.rules:
                raise self._fail(
                    f"{module} has no {name}", place, f"import a name that it defines{near_names(name, found.rules)}"
                )
        waiting, seen = list(renamed), set(renamed)
        while waiting:
            rule = found.rules[waiting.pop()]
            for used in _names_in(rule.body):
                if used in found.rules and used not in seen:
                    seen.add(used)
                    waiting.append(used)
        for name in found.rules:
            if name not in seen:
                continue
            rule, new_name = found.rules[name], renamed.get(name, prefix + name)
            if name not in renamed and new_name in self.rules:
                continue  # imported with another name of the same module before
            new = {used: renamed.get(used, prefix + used) for used in seen}
            body = _renamed(rule.body, new)
            self._define(
                Rule(
                    new_name,
                    body,
                    place,
                    rule.is_terminal,
                    rule.parameters,
                    rule.keep_tokens,
                    rule.inline_single,
                    source=module,
                )
            )

    def _find(self, path: list[str], place: Place) -> tuple[str, Path | None]:
        if path and path[0].startswith("."):
            if self._path is None:
                raise self._fail(
                    "a relative import needs to know where the grammar's file is",
                    place,
                    "give the grammar as a pathlib.Path, not as its text",
                )
            file = self._path.parent.joinpath(path[0][1:], *path[1:]).with_suffix(".lark")
            try:
                return file.read_text(encoding="utf-8"), file
            except OSError as error:
                raise self._fail(f"{file} cannot be read: {error.strerror}", place, "mend the path") from None
        require_lark("%import")
        file_name = "/".join(path) + ".lark"
        resource = resources.files("lark.grammars").joinpath(file_name)
        if not resource.is_file():
            known = [
                entry.name[:-5] for entry in resources.files("lark.grammars").iterdir() if entry.name.endswith(".lark")
            ]
            raise self._fail(
                f"there is no grammar {'.'.join(path)} to import",
                place,
                f"import from {', '.join(sorted(known))}, or from a file beside this one (%import .file.NAME)",
            )
        return resource.read_text(encoding="utf-8"), None


def shortest(body: Expr) -> Expr:
    """The texts of a language that have no proper prefix in it: those that lazy matching finds."""
    return Both((body, Other(seq(body, loop(Chars(((0, 0x10FFFF),)), 1, None)))))


_HANDLERS: dict[str, Callable[[_Reader, list[Any]], Expr]] = {
    "expansions": _Reader._expansions,
    "alias": _Reader._alias,
    "conjunction": _Reader._conjunction,
    "sequence": _Reader._sequence,
    "operator": _Reader._operator,
    "times": _Reader._times,
    "counted": _Reader._braces,
    "group": _Reader._group,
    "maybe": _Reader._maybe,
    "negation": _Reader._negation,
    "char_range": _Reader._char_range,
    "reference": _Reader._reference,
    "string": _Reader._string,
    "regexp": _Reader._regexp,
    "special": _Reader._special,
    "embedded": _Reader._embedded,
    "template_usage": _Reader._template_usage,
}
_SUBSTRINGS: dict[str, Callable[[Any], list[str]]] = {
    "substring_chars": list,
    "substring_words": lambda text: re.findall(r"\w+|\W+", text),
    "substring_chunks": list,
}


def _kind(rule: Rule) -> str:
    return "terminal" if rule.is_terminal else "rule"


def _names_in(body: Expr) -> Iterator[str]:
    for node in walk(body):
        if isinstance(node, (Ref, Call)):
            yield node.name


def _renamed(body: Expr, names: dict[str, str]) -> Expr:
    def change(node: Expr) -> Expr:
        if isinstance(node, Ref):
            return Ref(names.get(node.name, node.name), node.place)
        if isinstance(node, Call):
            return Call(names.get(node.name, node.name), tuple(map(change, node.arguments)), node.place)
        return rebuild(node, change)

    return change(body)


def _schema(value: Any) -> Any:
    from rellm import JsonSchema

    return JsonSchema(value)
