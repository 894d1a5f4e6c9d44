"""Groups whose text is asked for: what is alive, what completes it, and that the answer is at hand."""

from __future__ import annotations

import itertools
import random
import re

import pytest
import rellm

from .texts import BYTES

# Two seconds of matching in the search engine: no test is about this limit.
LIMITS = rellm.Limits(memory_bytes=16 << 20, fuel=50_000_000)
TEXTS = ["".join(letters) for n in range(9) for letters in itertools.product("ab", repeat=n)]
ATOMS = ["a", "b", "[ab]", "a?", "b*", "[ab]*", "a+?", "(?:a|ab)", "b{1,2}", "(?=a)", "(?<=b)", "(?!b)", "a?+", r"\b"]


def completion(pattern: str, text: str, flags: int = 0) -> str:
    matcher = rellm.compile(rellm.Regex(pattern, flags, dialect="re"), BYTES, LIMITS).matcher()
    matcher.advance_bytes(text.encode())
    matcher.mask()
    found = matcher.shortest_completion()
    assert found is not None
    return found.decode()


@pytest.mark.parametrize(
    ("pattern", "flags", "text", "length"),
    [
        (r"([a-c]*)\1", 0, "abcbacbbca", 8),
        (r"(?i)([a-c]*)\1", 0, "abcbacbbca", 8),
        (r"([a-c]*)([a-c]*)\1\2", 0, "abcbacbcabbca", 11),
        (r"(.+)(.*?)\1", 0, "ab" * 24, 0),
        (r"(\w*)(\w*)(\w*)(\w*) \1\2\3\4", 0, "ab" * 12, 25),
        (r"(\w*)(\w*)(\w*)(\w*) \4\3\2\1", 0, "abcab ca", 3),
        # What the group captured is asked for in another branch only, or not any more.
        (r"'|\D(?i:((?a:I)\D|s|I++(?<=sS))|b(?s:\ A){,2}|(?s:\1))", re.DOTALL, "xb A", 0),
        (r"I(\D(?=s))+s|(b)\2", 0, "Ix", 1),
        # Endless states of a way that leads nowhere.
        (r"(I++(?<=sS)|[aI]+)\1", 0, "IaaaII", 4),
    ],
)
def test_a_long_captured_text_is_completed_within_the_limits(pattern: str, flags: int, text: str, length: int) -> None:
    found = completion(pattern, text, flags)
    assert len(found) == length
    assert re.compile(pattern, flags).fullmatch(text + found)


def test_a_way_that_no_captured_text_can_save_is_dead() -> None:
    matcher = rellm.compile(r"(I++(?<=sS)|a)\1", BYTES, LIMITS).matcher()
    assert not matcher.allows(ord("I"))


@pytest.mark.parametrize(
    "pattern",
    [
        r"I(\D(?=s))+|(?=a)(b)\2",
        r"((?:a)*)(?=b)\1",
        r"(a)+\b\1+\1?(?<=b)\1",
        r"(b)b*([ab]\b)\2?(?<=b)\2\2(?:a|ab)",
        r"(?i)([ab]+)(?=c)\1",
    ],
)
def test_texts_of_other_letters_than_the_group_has_are_never_waited_for(pattern: str) -> None:
    with pytest.raises(rellm.UnsatisfiableError):
        rellm.compile(pattern, BYTES, LIMITS)


def random_pattern(chance: random.Random) -> str:
    parts = []
    groups = chance.choice([1, 1, 2, 3])
    for _ in range(groups):
        body = "".join(chance.choices(ATOMS, k=chance.choice([1, 1, 2])))
        group = f"({body})" if chance.random() < 0.8 else f"({body}|{chance.choice(ATOMS)})"
        parts += [group + chance.choice(["", "", "", "*", "?", "+"]), chance.choice(["", "", chance.choice(ATOMS)])]
    for _ in range(chance.choice([1, 2, 3])):
        parts.append(rf"\{chance.randint(1, groups)}" + chance.choice(["", "", "?", "+"]))
        parts.append(chance.choice(["", chance.choice(ATOMS)]))
    return chance.choice(["", "(?i)", ""]) + "".join(parts)


def test_random_backreferences_are_alive_and_completed_as_the_library_matches() -> None:
    chance = random.Random(11)
    asked = limited = 0
    for _ in range(250):
        pattern = random_pattern(chance)
        library = re.compile(pattern)
        matching = [text for text in TEXTS if library.fullmatch(text)]
        try:
            compiled = rellm.compile(pattern, BYTES, LIMITS)
        except rellm.UnsatisfiableError:
            assert not matching, pattern
            continue
        except rellm.LimitExceededError:
            limited += 1
            continue
        if compiled.engine == "search":
            continue
        for text in chance.sample(TEXTS[:63], 12):
            longer = [other for other in matching if other.startswith(text)]
            matcher = compiled.matcher()
            try:
                if matcher.validate(list(text.encode())) < len(text):
                    assert not longer, f"{pattern}: {text!r} is said to be dead"
                    continue
                matcher.advance_bytes(text.encode())
                found = matcher.shortest_completion()
            except rellm.LimitExceededError:
                limited += 1
                continue
            asked += 1
            assert found is not None
            assert library.fullmatch(text + found.decode()), f"{pattern}: {text!r} is not completed by {found!r}"
            if longer:
                assert len(found) == min(map(len, longer)) - len(text), f"{pattern}: {text!r} has a shorter completion"
            assert matcher.is_accepting == (text in matching), pattern
    assert asked > 600
    assert limited < 0.1 * asked
