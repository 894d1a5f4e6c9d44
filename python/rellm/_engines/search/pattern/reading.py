"""The structure of a pattern of the `regex` library: which classes it tests, which calls and which oddities it has.

This reading never decides what a pattern means: whole texts are judged by the library alone. It finds the classes of
characters that a pattern can tell apart (`alphabet.py`), which make the search fast, and what partial matching is wrong
about. A construct that is not known here raises `UnreadableError`, and the search goes on without classes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

import regex

from rellm._engines.search.pattern.rewording import NO_MORE, NO_MORE_BUT_NEWLINE, NO_MORE_ON_LINE, WORDS, Rewording

IGNORE_CASE: Final = int(regex.IGNORECASE)
FULL_CASE: Final = int(regex.FULLCASE)
ASCII: Final = int(regex.ASCII)
_VERBOSE: Final = int(regex.VERBOSE)
_WORD: Final = int(regex.WORD)
_MULTILINE: Final = int(regex.MULTILINE)
_VERSION_0: Final = int(regex.VERSION0)
_VERSION_1: Final = int(regex.VERSION1)
_VERSIONS: Final = int(regex.VERSION0 | regex.VERSION1)
_ENCODINGS: Final = int(regex.ASCII | regex.UNICODE | regex.LOCALE)
_INLINE: Final = {
    "a": int(regex.ASCII),
    "f": FULL_CASE,
    "i": IGNORE_CASE,
    "m": int(regex.MULTILINE),
    "s": int(regex.DOTALL),
    "u": int(regex.UNICODE),
    "w": _WORD,
    "x": _VERBOSE,
}
_GLOBAL_INLINE: Final = "bepr"  # they stand in the compiled pattern's flags

_QUANTIFIER: Final = re.compile(r"\{(?:(\d*),(\d*)|(\d+))\}")
_FUZZY_ITEM: Final = re.compile(
    r"((?P<least>\d+<=?)(?=[deis]<)[deis]<=?\d+|[deis](?:<=?\d+)?|\d*[dis](?:\+\d*[dis])*<=?\d+)"
)
_ESCAPED_ATOM: Final = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]+\}|[pP](?:\{[^}]*\}|[A-Za-z])|0[0-7]{0,2}|[0-7]{3})"
)
_BY_NAME: Final = re.compile(r"\\[gL]<([^>]*)>")  # without the rest, \g is a letter
_PROPERTY: Final = re.compile(r"\\[pP]|\[:")
_NUMBERED: Final = re.compile(r"\\([1-9][0-9]?)")
_FLAGS: Final = re.compile(r"\(\?((?:[a-zA-Z]|V[01])*)(?:-([a-zA-Z]+))?([:)])")
_CALL: Final = re.compile(r"\(\?(?:(R)|(\d+)|([+-]\d+)|(?:&|P>|P&)([^)>]+))\)")
_NAME: Final = re.compile(r"\(\?P?<([^)>=!]+)>")
_VERB: Final = re.compile(r"\(\*([A-Za-z]+)\)")


WITHOUT_WIDTH: Final = frozenset(
    {
        "lookaround",
        "start of text",
        "end of text",
        "end of text or last line",
        "line anchor",
        "keep",
        "boundary",
        "default word boundary",
        "conditional",
        "verb",
    }
)
"""Constructs that test and do not read."""


class UnreadableError(Exception):
    """This reading does not know a construct, the one at `position`. It is caught inside the search and never shown."""

    position = 0


@dataclass(frozen=True, slots=True)
class Atom:
    """One character of a class, as source to be compiled with `flags`."""

    source: str
    flags: int

    @property
    def is_property_with_case_ignored(self) -> bool:
        """Whether the library compares it in one way where it searches and in another where it goes on."""
        return bool(self.flags & IGNORE_CASE) and _PROPERTY.search(self.source) is not None


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    body: Node
    low: int
    high: int | None
    possessive: bool = False
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    number: int
    body: Node


@dataclass(frozen=True, slots=True)
class Define:
    """Groups that are there to be called; it matches the empty text."""

    body: Node


@dataclass(frozen=True, slots=True)
class Call:
    number: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What errors may add up to: pairs of what a substitution, an insertion and a deletion cost, and the most of it."""

    limits: tuple[tuple[tuple[int, int, int], int], ...]


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """An item that may be matched with errors. `test`: the characters that may be substituted and inserted."""

    body: Node
    costs: Costs
    test: Node | None


@dataclass(frozen=True, slots=True)
class Opaque:
    """What only the library itself can match."""

    kind: str


Node: TypeAlias = Atom | Sequence | Branch | Repeat | Group | Define | Call | Fuzzy | Opaque


@dataclass(slots=True)
class Reading:
    """What was read of a pattern."""

    tree: Node
    atoms: set[Atom]
    literals: set[str]  # characters of named lists
    places: dict[str, int]  # of constructs that are out of the ordinary, and where the first of each stands
    rewording: Rewording  # of what partial matching gets wrong

    @property
    def kinds(self) -> frozenset[str]:
        """The constructs that are out of the ordinary."""
        return frozenset(self.places)

    @property
    def folds_fully(self) -> bool:
        """Whether a letter may stand for several."""
        return any(atom.flags & IGNORE_CASE and atom.flags & (FULL_CASE | _VERSION_1) for atom in self.atoms)


def read(pattern: regex.Pattern[str], flags: int) -> Reading:
    """The structure of a pattern that was compiled with `flags`. (Its own flags have those that it sets halfway.)

    Raises:
        UnreadableError: it has a construct that is not known here.
    """
    reader = _Reader(pattern)
    try:
        tree = reader.branches(flags | int(pattern.flags) & _VERSIONS)
    except RecursionError:
        raise UnreadableError("the nesting") from None
    except UnreadableError as error:
        error.position = min(reader.began, len(pattern.pattern))
        raise
    if reader.at != len(pattern.pattern) or reader.groups != pattern.groups:
        raise UnreadableError("the groups")
    return Reading(tree, reader.atoms, reader.literals, reader.places, reader.rewording)


class _Reader:
    def __init__(self, pattern: regex.Pattern[str]) -> None:
        self.source = pattern.pattern
        self.names = dict(pattern.groupindex)
        self.named_lists = pattern.named_lists
        self.at = 0
        self.groups = 0
        self.atoms: set[Atom] = set()
        self.literals: set[str] = set()
        self.places: dict[str, int] = {}
        self.began = 0  # where the item that is being read begins
        self.last_without_width = -1
        self.last_fuzzy = -1
        self.last_compared = -1  # a backreference, or a call that may lead to one
        self.rewording = Rewording()
        self.in_lookbehind = 0
        self.seen_names: set[str] = set()

    def branches(self, flags: int) -> Node:
        """Up to a closing parenthesis or the end. Inline flags hold to the end of the group, over its bars."""
        items = []
        node, flags = self.sequence(flags)
        items.append(node)
        while self.source.startswith("|", self.at):
            self.at += 1
            node, flags = self.sequence(flags)
            items.append(node)
        return items[0] if len(items) == 1 else Branch(tuple(items))

    def sequence(self, flags: int) -> tuple[Node, int]:
        items: list[Node] = []
        starts: list[int] = []  # of the items
        began = self.at
        source = self.source
        while True:
            if flags & _VERBOSE:
                self.skip_blanks()
            if len(starts) < len(items):
                starts.append(began)
            began = self.began = self.at
            if self.at >= len(source) or source[self.at] in "|)":
                return (items[0] if len(items) == 1 else Sequence(tuple(items))), flags
            character = source[self.at]
            if character in "*+?":
                self.at += 1
                low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[character]
                self.quantify(items, low, high, flags, starts[-1] if items else 0)
            elif character == "{":
                self.brace(items, flags, starts[-1] if items else 0)
            elif character == "(":
                node, flags = self.parenthesis(flags)
                if node is not None:
                    items.append(node)
            elif character == "[":
                items.append(self.atom(self.end_of_set(self.at, flags), flags))
            elif character == "\\":
                items.append(self.escape(flags))
            elif character in "^$":
                items.append(self.line_anchor(character, flags))
            else:
                items.append(self.atom(self.at + 1, flags))

    def skip_blanks(self) -> None:
        source = self.source
        while self.at < len(source):
            if source[self.at].isspace():
                self.at += 1
            elif source[self.at] == "#":
                end = source.find("\n", self.at)
                self.at = len(source) if end < 0 else end
            else:
                return

    def atom(self, end: int, flags: int) -> Atom:
        atom = Atom(self.source[self.at : end], flags)
        if atom.is_property_with_case_ignored:
            self.note("property with case ignored", self.began)
        self.at = end
        self.atoms.add(atom)
        return atom

    def note(self, kind: str, at: int) -> None:
        self.places.setdefault(kind, at)

    def opaque(self, kind: str, at: int) -> Opaque:
        self.note(kind, at)
        if kind in WITHOUT_WIDTH or kind == "grapheme":
            self.last_without_width = self.at
        if kind == "backreference":
            self.last_compared = self.at
        return Opaque(kind)

    def protected(self, start: int) -> None:
        """What was read since `start` is matched once and for all, or must not match."""
        if self.last_compared > start:
            self.note("protected comparison", start)

    def line_ends(self, flags: int) -> None:
        if flags & _WORD:
            self.atoms.update(Atom(c, 0) for c in "\n\v\f\r\x85\u2028\u2029")
        else:
            self.atoms.add(Atom("\n", 0))

    def line_anchor(self, character: str, flags: int) -> Opaque:
        at = self.at
        self.at += 1
        self.line_ends(flags)
        if flags & _WORD:
            self.rewording.widen(at, self.at)
            return self.opaque("line anchor", at)
        if character == "^":
            self.asks(at)
            return self.opaque("line anchor" if flags & _MULTILINE else "start of text", at)
        if flags & _MULTILINE:
            self.rewording.put(at, self.at, NO_MORE_ON_LINE)
            return self.opaque("line anchor", at)
        self.rewording.put(at, self.at, NO_MORE_BUT_NEWLINE)
        return self.opaque("end of text or last line", at)

    # quantifiers and costs

    def quantify(self, items: list[Node], low: int, high: int | None, flags: int, start: int) -> None:
        if flags & _VERBOSE:
            self.skip_blanks()
        suffix = self.source[self.at : self.at + 1]
        possessive, lazy = suffix == "+", suffix == "?"
        if possessive or lazy:
            self.at += 1
        if possessive:
            self.note("possessive quantifier", start)
            self.protected(start)
        if not items:
            raise UnreadableError("a quantifier on nothing")
        items[-1] = Repeat(items[-1], low, high, possessive, lazy)

    def brace(self, items: list[Node], flags: int, start: int) -> None:
        """A quantifier, or the costs of a fuzzy item that begins at `start`, or a brace."""
        if found := _QUANTIFIER.match(self.source, self.at):
            self.at = found.end()
            low, high, exactly = found.groups()
            if exactly:
                self.quantify(items, int(exactly), int(exactly), flags, start)
            else:
                self.quantify(items, int(low or 0), int(high) if high else None, flags, start)
            return
        if flags & _VERBOSE:
            raise UnreadableError("a brace among blanks")
        at = self.at + 1
        least_errors: list[tuple[int, int]] = []
        limits: list[str] = []
        while found := _FUZZY_ITEM.match(self.source, at):
            if least := found["least"]:
                # Partial matching takes a text with too few errors so far for a dead one.
                least_errors.append((at, at + len(least)))
            limits.append(found[1][len(least or "") :])
            at = found.end()
            if not self.source.startswith(",", at):
                break
            at += 1
        else:
            items.append(self.atom(self.at + 1, flags))
            return
        test: Node | None = None
        if self.source.startswith(":", at):
            self.at = at + 1
            end = self.end_of_set(self.at, flags) if self.source[self.at] == "[" else self.at + 1
            test = self.escape(flags) if self.source[self.at] == "\\" else self.atom(end, flags)
            at = self.at
        if not self.source.startswith("}", at) or not items:
            raise UnreadableError("a brace")
        self.at = at + 1
        for first, last in least_errors:
            self.rewording.widen(first, last, "")
        if self.last_without_width >= start:
            self.note("fuzzy item without width", start)
        if self.last_fuzzy > start:
            self.note("fuzzy item in a fuzzy item", start)
        self.last_fuzzy = self.at
        self.note("fuzzy", start)
        items[-1] = Opaque("least errors") if least_errors else Fuzzy(items[-1], _costs(limits), test)

    # groups

    def parenthesis(self, flags: int) -> tuple[Node | None, int]:
        source, at = self.source, self.at
        if not source.startswith(("(?", "(*"), at):
            self.groups += 1
            number = self.groups
            return Group(number, self.body(at + 1, flags)), flags
        if found := _VERB.match(source, at):
            self.at = found.end()
            return self.opaque("verb", at), flags
        if found := _CALL.match(source, at):
            self.at = self.last_compared = found.end()
            call = self.call(found)
            self.note(f"call of {call.number}", at)
            return call, flags
        if found := _NAME.match(source, at):
            if found[1] not in self.seen_names:
                self.seen_names.add(found[1])
                self.groups += 1
                if self.names.get(found[1]) != self.groups:
                    raise UnreadableError("a name")
            number = self.names[found[1]]
            return Group(number, self.body(found.end(), flags)), flags
        if source.startswith("(?P=", at):
            self.at = source.index(")", at) + 1
            return self.opaque("backreference", at), flags
        if source.startswith("(?#", at):
            self.comment()
            return None, flags
        for opening in ("(?=", "(?!", "(?<=", "(?<!"):
            if source.startswith(opening, at):
                self.lookaround(at, len(opening), flags, is_behind="<" in opening)
                if opening != "(?=":
                    self.asks(at)
                return self.opaque("lookaround", at), flags
        if source.startswith("(?>", at):
            body = self.body(at + 3, flags)
            self.protected(at)
            return self.atomic(body, at), flags
        if source.startswith("(?(", at):
            return self.conditional(flags), flags
        if source.startswith("(?|", at):
            return self.branch_reset(flags)
        return self.flagged(flags)

    def body(self, start: int, flags: int) -> Node:
        self.at = start
        node = self.branches(flags)
        if not self.source.startswith(")", self.at):
            raise UnreadableError("an open group")
        self.at += 1
        return node

    def branch_reset(self, flags: int) -> tuple[Node, int]:
        """Every branch numbers its groups from the same number on. Flags that are turned on inside stay on."""
        self.at += 3
        first = last = self.groups
        items = []
        while True:
            self.groups = first
            node, flags = self.sequence(flags)
            items.append(node)
            last = max(last, self.groups)
            if not self.source.startswith("|", self.at):
                break
            self.at += 1
        if not self.source.startswith(")", self.at):
            raise UnreadableError("an open group")
        self.at += 1
        self.groups = last
        return (items[0] if len(items) == 1 else Branch(tuple(items))), flags

    def atomic(self, node: Node, at: int) -> Node:
        if isinstance(node, Repeat) and isinstance(node.body, Atom):
            if node.lazy:  # the fewest, once and for all
                return Repeat(node.body, node.low, node.low)
            return Repeat(node.body, node.low, node.high, possessive=True)
        return node if isinstance(node, Atom) else self.opaque("atomic group", at)

    def call(self, found: re.Match[str]) -> Call:
        whole, number, relative, name = found.groups()
        if whole:
            return Call(0)
        if number:
            return Call(int(number))
        if relative:
            return Call(self.groups + int(relative) + (relative[0] == "-"))
        if name not in self.names:
            raise UnreadableError("a call by name")
        return Call(self.names[name])

    def comment(self) -> None:
        at = self.at + 3
        while self.source[at] != ")":
            at += 2 if self.source[at] == "\\" else 1
        self.at = at + 1

    def lookaround(self, at: int, opening: int, flags: int, is_behind: bool) -> None:
        self.in_lookbehind += is_behind
        self.body(at + opening, flags)
        self.in_lookbehind -= is_behind
        self.protected(at)

    def asks(self, start: int) -> None:
        """What was read since `start` may fail at the end of the text without asking for more."""
        if not self.in_lookbehind:
            self.rewording.ask(start, self.at)

    def conditional(self, flags: int) -> Node:
        source, at = self.source, self.at
        if source.startswith("(?(DEFINE)", at):
            return Define(self.body(at + len("(?(DEFINE)"), flags))
        if source.startswith(("(?(?=", "(?(?!", "(?(?<=", "(?(?<!"), at):
            is_behind = source[at + 4] == "<"
            self.lookaround(at, 6 if is_behind else 5, flags, is_behind)
        else:
            self.at = source.index(")", at) + 1
        self.body(self.at, flags)
        self.asks(at)
        return self.opaque("conditional", at)

    def flagged(self, flags: int) -> tuple[Node | None, int]:
        found = _FLAGS.match(self.source, self.at)
        if not found:
            raise UnreadableError("a group")
        inner = flags
        if "p" in found[1]:
            self.note("POSIX", self.at)
        for character in regex.sub("V[01]|[" + _GLOBAL_INLINE + "]", "", found[1]):
            if character not in _INLINE:
                raise UnreadableError("a flag")
            flag = _INLINE[character]
            inner = (inner & ~_ENCODINGS if flag & _ENCODINGS else inner) | flag
        for character in found[2] or "":
            if character not in _INLINE:
                raise UnreadableError("a flag")
            inner &= ~_INLINE[character]
        if found[3] == ")":
            self.at = found.end()
            return None, inner
        return self.body(found.end(), inner), flags

    # escapes and sets

    def escape(self, flags: int) -> Node:
        source, at = self.source, self.at
        following = source[at + 1]
        if found := _ESCAPED_ATOM.match(source, at):
            return self.atom(found.end(), flags)
        if found := _NUMBERED.match(source, at):
            self.at = found.end()
            return self.opaque("backreference", at)
        if found := _BY_NAME.match(source, at):
            self.at = found.end()
            if following == "g":
                return self.opaque("backreference", at)
            for text in self.named_lists[found[1]]:
                self.literals.update(text)
                self.atoms.update(Atom(regex.escape(c), flags) for c in text)
            return self.opaque("named list", at)
        if following in WORDS:
            self.at += 2
            self.atoms.add(Atom(r"\w", flags))
            if flags & _WORD:
                self.rewording.widen(at, self.at)
                return self.opaque("default word boundary", at)
            self.rewording.put(at, self.at, WORDS[following])
            return self.opaque("boundary", at)
        if following in "AZzGK":
            self.at += 2
            if following in "Zz":
                self.rewording.put(at, self.at, NO_MORE)
            kind = {"A": "start of text", "G": "start of text", "K": "keep"}.get(following, "end of text")
            return self.opaque(kind, at)
        if following == "R":
            self.at += 2
            self.line_ends(_WORD)
            return self.opaque("line ending", at)
        if following == "X":
            self.at += 2
            return self.opaque("grapheme", at)
        return self.atom(at + 2, flags)

    def end_of_set(self, at: int, flags: int) -> int:
        """The index after the set that opens at `at`."""
        source = self.source
        nested = not flags & _VERSION_0
        at += 1
        if source.startswith("^", at):
            at += 1
        first = True
        while at < len(source):
            if (
                source.startswith("[:", at)
                and (end := source.find(":]", at)) > 0
                and source[at + 2 : end].strip("^").isalnum()
            ):
                at = end + 2
            elif source[at] == "]" and not first:
                return at + 1
            elif source[at] == "[" and nested:
                at = self.end_of_set(at, flags)
            elif source[at] == "\\":
                found = _ESCAPED_ATOM.match(source, at)
                at = found.end() if found else at + 2
            else:
                at += 1
            first = False
        raise UnreadableError("a set")


_UNIT: Final = {"s": (1, 0, 0), "i": (0, 1, 0), "d": (0, 0, 1), "e": (1, 1, 1)}


def _costs(items: list[str]) -> Costs:
    """The limits of `{…}`, as the `regex` library completes them: naming an error type forbids those not named."""
    most: dict[str, int | None] = {}
    equation: tuple[tuple[int, int, int], int] | None = None
    for item in items:
        left, strict, right = item.partition("<")
        bound = int(right.removeprefix("=")) - (0 if right.startswith("=") else 1) if strict else None
        if item[0] in _UNIT and "+" not in left:
            most[left] = bound
        else:
            terms = {term[-1]: int(term[:-1] or 1) for term in left.split("+")}
            assert bound is not None, "an equation has a bound"
            equation = (terms.get("s", 0), terms.get("i", 0), terms.get("d", 0)), bound
            for name in terms:
                most.setdefault(name, None)
    if most.keys() & set("sid"):
        for name in "sid":
            most.setdefault(name, 0)
    limits = [(_UNIT[name], bound) for name, bound in most.items() if bound is not None]
    return Costs(tuple(limits + ([equation] if equation else [])))
