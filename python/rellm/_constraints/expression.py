"""Expression trees: the form in which constraints are passed to the core.

A constraint becomes a fragment, a flat list of numbers in prefix notation: the code of a node, its operands, its
children. Strings and dialects are interned in an `ExpressionContext` and referred to by index. The core reads the whole
list in one call (`crates/core/src/syntax/fragments.rs` has the same table of codes).

The functions below build fragments and apply obvious simplifications; the core does the others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from rellm._vocabulary import Vocabulary

Fragment: TypeAlias = list[int]

EMPTY: Final = 0
NOTHING: Final = 1
LITERAL: Final = 2
CHOICE: Final = 3
CLASS: Final = 4
SEQUENCE: Final = 5
UNION: Final = 6
REPEAT: Final = 7
INTERSECTION: Final = 8
COMPLEMENT: Final = 9
PATTERN: Final = 10
PART: Final = 11
MARK: Final = 12
RULE: Final = 13
SPECIAL: Final = 14
LOOK: Final = 15
MEMBERS: Final = 16
ITEMS: Final = 17
SPELLED: Final = 18
SEARCHED: Final = 19
AUTOMATON: Final = 20

MAX_CODE_POINT: Final = 0x10FFFF
# A shorter fragment is copied: a reference takes two numbers, and a rule costs the core as much as a few more.
_SHORTEST_SHARED: Final = 8


class ExpressionContext:
    """Collects the strings, dialects, rules and marks of one tree of constraints for the core.

    Args:
        vocabulary: the vocabulary that the constraint is compiled for, with the names of its special tokens. Without
            one, each named special token gets an id, from 0 on; `special_names` has the names.
    """

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self.vocabulary = vocabulary
        self.special_names: dict[str, int] = {}
        self.strings: list[str] = []
        self.dialects: list[str] = []
        self.marks: list[tuple[Hashable, ...]] = []
        self.path: tuple[Hashable, ...] = ()
        self._marks_are_wanted = True
        self._string_numbers: dict[str, int] = {}
        self._rule_numbers: dict[Hashable, int] = {}
        self._bodies: list[Fragment | None] = []
        self._pending: list[tuple[int, Callable[[], Fragment]]] = []

    def take_over(self, other: ExpressionContext) -> bool:
        """Copies the content of another context; returns False, without any change, if this one is not empty."""
        if self.strings or self.dialects or self.marks or self._bodies:
            return False
        self.strings, self.dialects = list(other.strings), list(other.dialects)
        self.marks, self._bodies = list(other.marks), list(other._bodies)
        self._string_numbers, self._rule_numbers = dict(other._string_numbers), dict(other._rule_numbers)
        self._pending = list(other._pending)
        return True

    def string(self, text: str) -> int:
        """The number of a string; equal strings share one."""
        number = self._string_numbers.get(text)
        if number is None:
            number = self._string_numbers[text] = len(self.strings)
            self.strings.append(text)
        return number

    def dialect(self, name: str) -> int:
        """The number of a dialect: "re", "regex" or "ecma"."""
        if name not in self.dialects:
            self.dialects.append(name)
        return self.dialects.index(name)

    def mark(self, path: tuple[Hashable, ...]) -> int:
        """A new mark for this path to a part."""
        self.marks.append(path)
        return len(self.marks) - 1

    def marked(self, label: Hashable, build: Callable[[], Fragment]) -> Fragment:
        """The part that `build` makes; the matcher keeps its borders under the enclosing path and this label."""
        if not self._marks_are_wanted:
            return build()
        outer = self.path
        self.path = (*outer, label)
        try:
            number = self.mark(self.path)
            child = build()
        finally:
            self.path = outer
        return child if child[0] == NOTHING else [MARK, number, *child]

    def unmarked(self, build: Callable[[], Fragment]) -> Fragment:
        """The part that `build` makes, without marks of its borders: its value is its text."""
        outer = self._marks_are_wanted
        self._marks_are_wanted = False
        try:
            return build()
        finally:
            self._marks_are_wanted = outer

    def special_token(self, name: str) -> Fragment:
        """The special token of this name, as one symbol.

        Raises:
            VocabularyError: the vocabulary has none of this name.
        """
        if self.vocabulary is None:
            return [SPECIAL, 1, self.special_names.setdefault(name, len(self.special_names))]
        return [SPECIAL, 1, self.vocabulary.special_token_id(name)]

    def marker(self, text: str) -> Fragment:
        """A string, or the special token of exactly this content, if the vocabulary has one."""
        spelled = literal(self, text)
        if self.vocabulary is None or text not in self.vocabulary.special_tokens:
            return spelled
        return union([spelled, self.special_token(text)])

    def rule(self, key: Hashable, build: Callable[[], Fragment]) -> Fragment:
        """A reference to the rule of this key.

        The first reference registers `build`, which makes the rule's body. It is called once, by `operations`, so it
        may refer to any rule, its own included, however long the chain of references is.
        """
        number = self._rule_numbers.get(key)
        if number is None:
            number = self._rule_numbers[key] = len(self._bodies)
            self._bodies.append(None)
            self._pending.append((number, build))
        return [RULE, number]

    @property
    def rule_count(self) -> int:
        """The number of rules so far."""
        return len(self._bodies)

    def forget_rules(self, numbers: Iterable[int]) -> None:
        """Drops the bodies of rules that are not referred to."""
        for number in numbers:
            self._bodies[number] = [EMPTY]

    def shared(self, fragment: Fragment) -> Fragment:
        """A reference to a single copy of a fragment without rule references: the core reads it once for all uses."""
        if len(fragment) < _SHORTEST_SHARED:
            return fragment
        return self.rule(tuple(fragment), lambda: fragment)

    def operations(self, root: Fragment) -> list[int]:
        """The whole list: the number of rules, their bodies, the root. Builds the bodies that are still missing."""
        while self._pending:
            number, build = self._pending.pop()
            self._bodies[number] = build()
        ops = [len(self._bodies)]
        for body in self._bodies:
            ops += body or [NOTHING]
        return ops + root


def empty() -> Fragment:
    """The empty text."""
    return [EMPTY]


def nothing() -> Fragment:
    """No text."""
    return [NOTHING]


def literal(context: ExpressionContext, text: str) -> Fragment:
    """Exactly this string."""
    return [LITERAL, context.string(text)] if text else [EMPTY]


def choice(context: ExpressionContext, texts: Iterable[str]) -> Fragment:
    """One of these strings."""
    numbers = [context.string(text) for text in texts]
    if len(numbers) == 1:
        return literal(context, context.strings[numbers[0]])
    return [CHOICE, len(numbers), *numbers] if numbers else [NOTHING]


def char_class(ranges: Iterable[tuple[int, int]]) -> Fragment:
    """One code point of these inclusive ranges."""
    merged = merged_ranges(ranges)
    if not merged:
        return [NOTHING]
    return [CLASS, len(merged), *(bound for pair in merged for bound in pair)]


def any_char() -> Fragment:
    """Any one code point."""
    return [CLASS, 1, 0, MAX_CODE_POINT]


def sequence(parts: Iterable[Fragment]) -> Fragment:
    """One after the other."""
    count, body = 0, []
    for part in parts:
        if part[0] == NOTHING:
            return [NOTHING]
        if part[0] == SEQUENCE:
            count += part[1]
            body += part[2:]
        elif part[0] != EMPTY:
            count += 1
            body += part
    if count == 0:
        return [EMPTY]
    return body if count == 1 else [SEQUENCE, count, *body]


def union(parts: Iterable[Fragment]) -> Fragment:
    """Any of these, without duplicates, in the order of first occurrence."""
    found: dict[tuple[int, ...], Fragment] = {}
    for part in parts:
        if part[0] != NOTHING:
            found.setdefault(tuple(part), part)
    members = list(found.values())
    if not members:
        return [NOTHING]
    if len(members) == 1:
        return members[0]
    if all(member[0] == LITERAL for member in members):
        return [CHOICE, len(members), *(member[1] for member in members)]
    ops = [UNION, len(members)]
    for member in members:
        ops += member
    return ops


def optional(part: Fragment) -> Fragment:
    """The part, or the empty text."""
    return repeat(part, 0, 1)


def repeat(part: Fragment, minimum: int, maximum: int | None) -> Fragment:
    """The part repeated `minimum` to `maximum` times; without a maximum, at least `minimum` times."""
    if maximum == 0 or part[0] == EMPTY:
        return [EMPTY]
    if part[0] == NOTHING:
        return [NOTHING] if minimum else [EMPTY]
    if (minimum, maximum) == (1, 1):
        return part
    return [REPEAT, minimum, -1 if maximum is None else maximum, *part]


def intersection(parts: Sequence[Fragment]) -> Fragment:
    """The texts that are in all of these self-contained languages."""
    if len(parts) == 1:
        return parts[0]
    ops = [INTERSECTION, len(parts)]
    for part in parts:
        if part[0] == NOTHING:
            return [NOTHING]
        ops += part
    return ops


def complement(part: Fragment) -> Fragment:
    """Every text that is not in this self-contained language."""
    return [COMPLEMENT, *part]


def pattern(
    context: ExpressionContext,
    source: str,
    flags: int = 0,
    dialect: str = "re",
    named_lists: Iterable[tuple[str, Sequence[str]]] = (),
) -> Fragment:
    """A regular expression of this dialect, as a part of its own."""
    lists: Fragment = []
    count = 0
    for name, texts in named_lists:
        lists += [context.string(name), len(texts), *(context.string(text) for text in texts)]
        count += 1
    return [PATTERN, context.string(source), flags, context.dialect(dialect), count, *lists]


def part(child: Fragment) -> Fragment:
    """The child as a language of its own: its anchors and lookarounds do not see the surrounding text."""
    return [PART, *child]


def marked(child: Fragment, mark: int) -> Fragment:
    """The child with a mark: the matcher keeps its start and end."""
    return [MARK, mark, *child]


def special(token_ids: Sequence[int]) -> Fragment:
    """One of these special tokens, as one symbol of the alphabet."""
    return [SPECIAL, len(token_ids), *token_ids] if token_ids else [NOTHING]


def look(child: Fragment, *, behind: bool = False, negated: bool = False) -> Fragment:
    """A lookaround, which sees the text around it in the enclosing part."""
    return [LOOK, int(behind), int(negated), *child]


def spelled(child: Fragment, spelling: int = 0) -> Fragment:
    """The spellings of the child's texts: 0 is the body of a JSON string with canonical escapes."""
    return [SPELLED, spelling, *child]


def searched(child: Fragment) -> Fragment:
    """Any text that contains a match of the pattern."""
    return [SEARCHED, *child]


def merged_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same code points in ascending ranges that neither overlap nor touch."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def inverted_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """All other code points."""
    inverted, start = [], 0
    for low, high in merged_ranges(ranges):
        if start < low:
            inverted.append((start, low - 1))
        start = high + 1
    return [*inverted, (start, MAX_CODE_POINT)] if start <= MAX_CODE_POINT else inverted


def members(
    first: Fragment,
    between: Fragment,
    close: Fragment,
    keys: Sequence[tuple[int, bool, Fragment]],
    classes: Sequence[tuple[Fragment, Fragment]],
    guards: Sequence[tuple[Sequence[int], Sequence[int]]] = (),
    minimum: int = 0,
    maximum: int = -1,
    is_ordered: bool = False,
) -> Fragment:
    """The rest of a collection of members, each declared key at most once.

    Args:
        first: the text before the first member.
        between: the text between two members.
        close: the end, also of an empty collection.
        keys: for each declared key its string (a number of the context) with its ending, whether it is required, and
            its value.
        classes: for each class of other members the language of their keys, without the declared ones, and their
            value.
        guards: if all of the first numbers were seen, one of the second was; numbers of keys, then of classes.
        minimum: the least number of members.
        maximum: the greatest number; -1: unbounded.
        is_ordered: declared keys in their order, other members after them.
    """
    ops = [MEMBERS, minimum, maximum, int(is_ordered), len(keys), len(classes), len(guards), *first, *between, *close]
    for string, is_required, follows in keys:
        ops += [string, int(is_required)]
        ops += follows
    for key, follows in classes:
        ops += key
        ops += follows
    for given, wanted in guards:
        ops += [len(given), *given, len(wanted), *wanted]
    return ops


def items(
    first: Fragment,
    between: Fragment,
    close: Fragment,
    minimum: int,
    maximum: int,
    counters: Sequence[tuple[int, int]],
    groups: Sequence[Sequence[tuple[Sequence[int], Fragment]]],
) -> Fragment:
    """The rest of an array whose items are counted.

    Args:
        first: the text before the first item.
        between: the text between two items.
        close: the end, also of an empty array.
        minimum: the least number of items.
        maximum: the greatest number; -1: unbounded.
        counters: for each counter its least and its greatest value at the end; -1: unbounded.
        groups: for each index, the ways to write the item: the counters that it increments, and its text. The last
            group serves all further items.
    """
    ops = [ITEMS, minimum, maximum, len(groups) - 1, len(counters)]
    ops += [bound for pair in counters for bound in pair]
    ops += [*first, *between, *close]
    for ways in groups:
        ops.append(len(ways))
        for numbers, text in ways:
            ops += [len(numbers), *numbers]
            ops += text
    return ops
