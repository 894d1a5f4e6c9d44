"""Constrained decoding in a hundred lines of plain Python: derivatives, a trie of tokens, a mask.

    python examples/how_it_works.py '[a-z]+@[a-z]+\\.(com|org)'

rellm does the same, with more of everything: the whole dialects of `re` and `regex`, states that are remembered, masks
that need not walk the trie, budgets. A test compares the masks of the two. The alphabet here is ASCII, so that a
character is a byte.
"""

import random
import sys

# 1. Expressions are tuples; these constructors keep them small. NOTHING matches no text at all, EMPTY only "".
NOTHING, EMPTY = ("nothing",), ("empty",)
ALPHABET = frozenset(map(chr, range(128)))


def sequence(a, b):
    if NOTHING in (a, b):
        return NOTHING
    return b if a == EMPTY else a if b == EMPTY else ("sequence", a, b)


def union(a, b):
    members = {m for e in (a, b) for m in (e[1] if e[0] == "union" else (e,)) if m != NOTHING}
    if len(members) < 2:
        return members.pop() if members else NOTHING
    return ("union", frozenset(members))


# 2. A small reader: characters, `.`, `[a-z]`, `[^a-z]`, `\\`, `( )`, `|`, `*`, `+`, `?`.
def parse(pattern):
    items = list(pattern)

    def alternatives():
        found = run()
        while items[:1] == ["|"]:
            items.pop(0)
            found = union(found, run())
        return found

    def run():
        found = EMPTY
        while items and items[0] not in "|)":
            one = atom()
            while items and items[0] in "*+?":
                sign, star = items.pop(0), ("star", one)
                one = star if sign == "*" else sequence(one, star) if sign == "+" else union(one, EMPTY)
            found = sequence(found, one)
        return found

    def atom():
        c = items.pop(0)
        if c == "(":
            inner = alternatives()
            items.pop(0)  # the ")"
            return inner
        if c == "[":
            return ("class", bracket())
        if c == ".":
            return ("class", ALPHABET - {"\n"})
        return ("class", frozenset(items.pop(0) if c == "\\" else c))

    def bracket():
        negated = items[0] == "^" and bool(items.pop(0))
        found = set()
        while (c := items.pop(0)) != "]":
            if items[0] == "-" and items[1] != "]":
                items.pop(0)
                found |= set(map(chr, range(ord(c), ord(items.pop(0)) + 1)))
            else:
                found.add(items.pop(0) if c == "\\" else c)
        return ALPHABET - found if negated else frozenset(found)

    return alternatives()


# 3. Does an expression match ""? Which texts may follow once a character is written? (Brzozowski, 1964)
def accepts_empty(e):
    kind = e[0]
    if kind == "sequence":
        return accepts_empty(e[1]) and accepts_empty(e[2])
    return kind in ("empty", "star") or (kind == "union" and any(map(accepts_empty, e[1])))


def derivative(e, c):
    match e:
        case ("class", members):
            return EMPTY if c in members else NOTHING
        case ("star", body):
            return sequence(derivative(body, c), e)
        case ("union", members):
            found = NOTHING
            for member in members:
                found = union(found, derivative(member, c))
            return found
        case ("sequence", a, b):
            through = sequence(derivative(a, c), b)
            return union(through, derivative(b, c)) if accepts_empty(a) else through
    return NOTHING


# 4. The vocabulary as a trie: each node has the tokens that end there, and a child for each next character.
def trie_of(tokens):
    root = {"ends": [], "next": {}}
    for token_id, text in enumerate(tokens):
        node = root
        for c in text:
            node = node["next"].setdefault(c, {"ends": [], "next": {}})
        if text:
            node["ends"].append(token_id)
    return root


# 5. The mask: walk trie and expression together. Where nothing can follow, a whole subtree of tokens is forbidden.
def allowed_tokens(e, node):
    found = list(node["ends"])
    for c, child in node["next"].items():
        rest = derivative(e, c)
        if rest != NOTHING:
            found += allowed_tokens(rest, child)
    return found


# 6. Generation: pick among the allowed tokens (a model would, by its scores), and go on.
def write(pattern, tokens, pick=random.choice):
    state, trie, text = parse(pattern), trie_of(tokens), ""
    while not (accepts_empty(state) and (len(text) > 40 or random.random() < 0.2)):
        allowed = allowed_tokens(state, trie)
        if not allowed:
            break
        token = tokens[pick(allowed)]
        text += token
        for c in token:
            state = derivative(state, c)
    return text


if __name__ == "__main__":
    pattern = sys.argv[1] if len(sys.argv) > 1 else r"[a-z]+@[a-z]+\.(com|org)"
    words = ["the", "ab", "or", "com", ".com", "org", "ion", "@ex", "12"]
    print(write(pattern, [*map(chr, range(128)), *words]))
