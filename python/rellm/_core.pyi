"""The native part of rellm: what `crates/python` exports. Everything here releases the GIL while it works."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, final

import numpy as np
import numpy.typing as npt

__all__ = [  # noqa: RUF022
    "__version__",
    "NotRegularError",
    "Dialect",
    "Vocabulary",
    "Limits",
    "Constraint",
    "Matcher",
    "Rejection",
    "refusal",
    "fill_masks",
    "expression_matches",
    "before_fork",
    "after_fork",
    "expectation",
]
__version__: str

class NotRegularError(Exception):
    """The automaton cannot hold this construct: a case for the search engine. `args`: the construct, its position."""

@final
class Vocabulary:
    """Token bytes by id, and the tries over them. Immutable; `None` is a token that is never text."""

    def __new__(cls, tokens: Iterable[bytes | None], eos_token_ids: Iterable[int] | None = None) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def eos_token_ids(self) -> list[int]: ...
    @property
    def fingerprint(self) -> bytes: ...  # 16 bytes: equal content, equal fingerprint
    @property
    def memory_bytes(self) -> int: ...
    @property
    def is_regular(self) -> bool: ...  # every text over the alphabet can be spelled, character by character
    @property
    def alphabet(self) -> list[tuple[int, int]]: ...  # inclusive ranges of the code points that a text can contain
    def token_bytes(self, token_id: int) -> bytes | None: ...  # None: special; IndexError: out of range
    def tokens_bytes(self, token_ids: Iterable[int]) -> bytes: ...  # special tokens give nothing
    def to_bytes(self) -> bytes: ...  # for a cache on disk
    @staticmethod
    def from_bytes(data: bytes) -> Vocabulary: ...  # VocabularyError if corrupt

@final
class Dialect:
    """The class tables of `re` or `regex` as installed: see `rellm._dialects.tables.re_dialect` and `regex_dialect`."""

    def __new__(cls, library: str, minor: int, tables: bytes, resolver: Any) -> Self: ...
    def outcome(
        self,
        pattern: str,
        flags: int,
        named_lists: Mapping[str, Sequence[str]],
        nesting: int = 500,
        pattern_length: int = 2_000_000,
    ) -> tuple[str, str, int | None]:
        """("automaton" | "search" | "refused" | "unsupported" | "limit", message, position)"""

    def character_class(self, pattern: str, flags: int = 0) -> list[tuple[int, int]] | None: ...
    def tree(self, pattern: str, flags: int, named_lists: Mapping[str, Sequence[str]]) -> str: ...

@final
class Constraint:
    """A compiled constraint: an automaton over a vocabulary. Immutable to its users, thread-safe."""

    @staticmethod
    def regex(
        pattern: str,
        flags: int,
        dialect: Dialect,
        named_lists: Mapping[str, Sequence[str]],
        vocabulary: Vocabulary,
        limits: Limits,
    ) -> Constraint: ...
    @staticmethod
    def choice(texts: Sequence[str], vocabulary: Vocabulary, limits: Limits) -> Constraint: ...
    @staticmethod
    def expression(
        ops: Sequence[int],  # the tree in prefix notation; see _constraints/expression.py
        strings: Sequence[str],
        dialects: Sequence[Dialect],
        vocabulary: Vocabulary,
        limits: Limits,
    ) -> Constraint: ...
    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def memory_bytes(self) -> int: ...
    def set_fast_paths(self, when: str) -> None: ...  # "where-paying" (the default), "never", "always"; for tests
    def matcher(self) -> Matcher: ...

def expression_matches(
    ops: Sequence[int], strings: Sequence[str], dialects: Sequence[Dialect], text: str, limits: Limits
) -> bool: ...  # whether the text is in the language of the tree

@final
class Limits:
    def __new__(cls, memory_bytes: int, fuel: int, nesting: int, pattern_length: int) -> Self: ...

@final
class Rejection:
    def __new__(
        cls, token_id: int | None, token_bytes: bytes, failed_at: int, text_before: str, expected: str, message: str
    ) -> Self: ...
    @property
    def token_id(self) -> int | None: ...  # None: bytes were taken
    @property
    def token_bytes(self) -> bytes: ...  # b"" for a special token
    @property
    def failed_at(self) -> int: ...  # index of the byte with which no match can be reached any more
    @property
    def text_before(self) -> str: ...
    @property
    def expected(self) -> str: ...  # in words: `a digit, or "."`
    @property
    def message(self) -> str: ...  # the sentence that TokenRejectedError says; str(rejection)

@final
class Matcher:
    """One text being written. A TokenRejectedError from it has the Rejection as its attribute `rejection`."""

    @property
    def constraint(self) -> Constraint: ...
    @property
    def text(self) -> bytes: ...  # what was written so far
    def mask(self) -> npt.NDArray[np.uint32]: ...
    def fill_mask(self, out: Any, row: int = 0) -> None: ...
    def allows(self, token_id: int) -> bool: ...
    def advance(self, token_id: int) -> None: ...
    def advance_bytes(self, data: bytes) -> None: ...
    def rollback(self, n: int) -> None: ...
    def reset(self) -> None: ...
    def copy(self) -> Matcher: ...
    def __copy__(self) -> Matcher: ...
    def __deepcopy__(self, memo: Any) -> Matcher: ...
    def validate(self, token_ids: Iterable[int]) -> int: ...
    @property
    def is_accepting(self) -> bool: ...
    @property
    def is_finished(self) -> bool: ...
    def forced_bytes(self) -> bytes: ...
    def shortest_completion(self) -> bytes: ...
    def explain(self, token_id: int) -> Rejection | None: ...
    # the same in the fewest tokens, special tokens included; the byte forms stop before a special token
    def forced_tokens(self) -> list[int]: ...
    def shortest_completion_tokens(self) -> list[int]: ...
    def specials(self) -> list[tuple[int, int]]: ...  # the bytes before a special token, its id
    def marks(self) -> list[tuple[int, int, int]]: ...  # number of a mark, start, end: outer parts before inner ones
    def next_characters(self) -> list[tuple[int, int]]: ...  # inclusive ranges of code points that may follow
    # Distance in tokens (EOS is free):
    @property
    def longest_way(self) -> int | None: ...  # no text is more tokens away from a match; None: nothing is known
    # the least number of tokens to a match, or, where looking for it takes too long, one that is enough;
    # None: more than at_most
    def tokens_to_match(self, at_most: int) -> int | None: ...
    def matches_within(self, at_most: int) -> bool: ...  # whether so many tokens are enough; cheaper
    # only tokens after which a match needs at most tokens_left - 1 more
    def fill_mask_within(self, out: Any, row: int, tokens_left: int) -> None: ...

def fill_masks(matchers: Sequence[Matcher], out: Any, threads: int | None = None) -> None: ...
def before_fork() -> None: ...
def after_fork() -> None: ...
def refusal(
    construct: str, remedy: str, pattern: str, position: int | None
) -> str: ...  # how a refusal reads: CONSTRUCT at position P of 'PATTERN': REMEDY
def expectation(
    next: Sequence[tuple[int, int]], alphabet: Sequence[tuple[int, int]], started: bool, may_end: bool
) -> str: ...  # what may come next, in the words of a Rejection; inclusive ranges of code points
