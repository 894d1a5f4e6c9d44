"""Random trees in the flat form that the core reads: rules, languages of their own, collections, over three letters."""

from __future__ import annotations

import random

from fragment_oracle import (
    AUTOMATON,
    CHOICE,
    CLASS,
    COMPLEMENT,
    EMPTY,
    INTERSECTION,
    ITEMS,
    LITERAL,
    LOOK,
    MARK,
    MEMBERS,
    NOTHING,
    PART,
    PATTERN,
    REPEAT,
    RULE,
    SEQUENCE,
    UNION,
)  # fmt: skip

LETTERS = "abc"
REGULAR = ("empty", "literal", "literal", "choice", "class", "sequence", "sequence", "union", "union", "repeat")
KINDS = {
    "rules": (*REGULAR, "sequence", "rule", "rule"),
    "languages": (*REGULAR, "rule", "rule", "part", "mark", "intersection", "complement", "look", "pattern", "pattern"),
    "collections": (*REGULAR, "rule", "members", "members", "items", "items", "automaton", "part", "pattern"),
}
PATTERNS = (
    r"a(?!b)[abc]*", r"^a+$", r"(?=.*b)[ab]{1,4}", r"(a|b)c?\1", r"\b\w+\b", r"(?<!a)b|ab*", r"[abc]*(?<=b)c?",
    r"(?>a|ab)c?", r"a*", r"(a)?b(?(1)c|a)", "ab|b", r"a++[ab]",
)  # fmt: skip


class Trees:
    """Builds trees from a source of chance; `ops` and `strings` are what the core gets."""

    def __init__(self, chance: random.Random, kinds: str) -> None:
        self.chance, self.kinds = chance, KINDS[kinds]
        self.strings: list[str] = []
        self._indices: dict[str, int] = {}
        self._rules = chance.randint(0, 4)
        bodies = [self._node(chance.randint(1, 3)) for _ in range(self._rules)]
        root = self._node(chance.randint(1, 3))
        self.ops = [self._rules, *(number for body in bodies for number in body), *root]

    def _string(self, text: str) -> int:
        if text not in self._indices:
            self._indices[text] = len(self.strings)
            self.strings.append(text)
        return self._indices[text]

    def _literal(self, text: str) -> list[int]:
        return [LITERAL, self._string(text)]

    def _text(self, least: int = 0) -> str:
        return "".join(self.chance.choice(LETTERS) for _ in range(self.chance.randint(least, 3)))

    def _nodes(self, count: int, depth: int) -> list[int]:
        return [number for _ in range(count) for number in self._node(depth - 1)]

    def _node(self, depth: int) -> list[int]:
        chance = self.chance
        kind = chance.choice(("literal", "class", "rule") if depth <= 0 else self.kinds)
        if kind == "rule" and not self._rules:
            kind = "literal"
        match kind:
            case "empty":
                return [EMPTY]
            case "literal":
                return self._literal(self._text(1 if depth <= 0 else 0))
            case "choice":
                texts = [self._text() for _ in range(chance.randint(1, 7))]
                return [CHOICE, len(texts), *map(self._string, texts)]
            case "class":
                low, high = sorted((ord(chance.choice(LETTERS)), ord(chance.choice(LETTERS))))
                return [CLASS, 1, low, high]
            case "sequence" | "union":
                count = chance.randint(1, 4)
                return [SEQUENCE if kind == "sequence" else UNION, count, *self._nodes(count, depth)]
            case "repeat":
                low = chance.choice((0, 0, 1, 2))
                return [REPEAT, low, chance.choice((-1, low + chance.randint(1, 3))), *self._node(depth - 1)]
            case "rule":
                return [RULE, chance.randrange(self._rules)]
            case "part":
                return [PART, *self._node(depth - 1)]
            case "mark":
                return [MARK, chance.randrange(4), *self._node(depth - 1)]
            case "intersection":
                count = chance.randint(2, 3)
                return [INTERSECTION, count, *(n for _ in range(count) for n in self._regular(depth))]
            case "complement":
                return [COMPLEMENT, *self._regular(depth)]
            case "look":
                return [LOOK, chance.choice((0, 0, 1)), chance.choice((0, 1)), *self._regular(depth)]
            case "pattern":
                return [PATTERN, self._string(chance.choice(PATTERNS)), 0, 0, 0]
            case "automaton":
                count = chance.randint(1, 4)
                states = [
                    (chance.randint(0, 1), chance.randrange(-1, count), chance.randrange(-1, count))
                    for _ in range(count)
                ]
                return [AUTOMATON, 2, 1, 97, 97, 1, 98, 99, count, *(n for state in states for n in state)]
            case "members":
                return self._members(depth)
            case "items":
                return self._items(depth)
        raise AssertionError(kind)

    def _regular(self, depth: int) -> list[int]:
        """A tree without rules and looks: what boolean terms are made of."""
        rules, kinds = self._rules, self.kinds
        self._rules, self.kinds = 0, (*REGULAR, "pattern", "complement")
        try:
            return self._node(depth - 1)
        finally:
            self._rules, self.kinds = rules, kinds

    def _bounds(self) -> tuple[int, int]:
        return self.chance.choice(((0, -1),) * 4 + ((1, -1), (0, 2), (2, 3), (1, 1), (3, -1)))

    def _separators(self) -> list[int]:
        first = self.chance.choice(([EMPTY], self._literal("b")))
        between, close = self.chance.choice(("a", "cb")), self.chance.choice(("c", "ca"))
        return [*first, *self._literal(between), *self._literal(close)]

    def _members(self, depth: int) -> list[int]:
        chance = self.chance
        texts = ["ac", "bc", "aac", "abc", "bbc", "aabc", "babc", "bbac"]
        keys, others = chance.sample(texts, chance.randint(0, 5)), chance.randint(0, 2)
        total = len(keys) + others

        def some() -> list[int]:
            count = chance.choice((0, 1, 1, 2)) if total else 0
            return [count, *(chance.randrange(total) for _ in range(count))]

        guards = [some() + some() for _ in range(chance.choice((0, 0, 1, 2)))]
        other = [SEQUENCE, 2, REPEAT, 1, 2, CLASS, 1, 97, 98, *self._literal("c")]
        other = [INTERSECTION, 2, *other, COMPLEMENT, CHOICE, len(keys), *map(self._string, keys)]
        body: list[int] = []
        for key in keys:
            body += [self._string(key), chance.choice((0, 0, 1)), *self._node(depth - 1)]
        for _ in range(others):
            body += [*other, *self._node(depth - 1)]
        head = [MEMBERS, *self._bounds(), chance.choice((0, 0, 1)), len(keys), others, len(guards)]
        return [*head, *self._separators(), *body, *(n for guard in guards for n in guard)]

    def _items(self, depth: int) -> list[int]:
        chance = self.chance
        places, counters = chance.randint(0, 2), chance.randint(0, 2)
        bounds = [chance.choice(((0, -1), (1, -1), (0, 1), (1, 2), (2, 2))) for _ in range(counters)]
        groups: list[int] = []
        for _ in range(places + 1):
            ways = chance.randint(0, 3)
            groups.append(ways)
            for _ in range(ways):
                adds = [counter for counter in range(counters) if chance.random() < 0.4]
                groups += [len(adds), *adds, *self._node(depth - 1)]
        head = [ITEMS, *self._bounds(), places, counters, *(n for bound in bounds for n in bound)]
        return [*head, *self._separators(), *groups]


def vocabulary(chance: random.Random) -> list[bytes | None]:
    """EOS, and tokens of one to seven letters."""
    tokens = {letter.encode() for letter in LETTERS}
    for _ in range(chance.randint(2, 30)):
        tokens.add("".join(chance.choice(LETTERS) for _ in range(chance.randint(2, 7))).encode())
    ordered = sorted(tokens)
    chance.shuffle(ordered)
    return [None, *ordered]


__all__ = ["KINDS", "LETTERS", "NOTHING", "Trees", "vocabulary"]
