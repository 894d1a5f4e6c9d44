"""The search engine: constraints that the automata do not hold, by partial matching of the `regex` library over text.

    pattern ──reading──> classes ──alphabet──> symbols ──tokens──> trie ──text_walk──> tokens that may follow
        └────────────────────────── _viability: may this text become a match? ──────────┘

It keeps a weaker promise than the automaton, and says so: docs/search-engine.md.
"""

from __future__ import annotations

from typing import Any

from rellm._engines.search.masks.tokens import VocabularyLike
from rellm._engines.search.pattern.languages import language_of
from rellm._engines.search.search_constraint import SearchConstraint
from rellm._engines.search.search_matcher import SearchMatcher
from rellm._engines.search.time_limit import one_call

__all__ = ["SearchConstraint", "SearchMatcher", "compile_search"]


def compile_search(constraint: Any, vocabulary: VocabularyLike, limits: Any, reason: str) -> SearchConstraint:
    """Compiles a `Regex` for the search engine.

    Args:
        constraint: has `pattern` (str), `flags` (int), `dialect` ("re" or "regex") and `named_lists`.
        vocabulary: the tokens by id.
        limits: has `memory_bytes`, `fuel` and `pattern_length`.
        reason: why the automaton does not serve it: the construct and its position.

    Raises:
        PatternError: the pattern is wrong.
        UnsupportedError: the search engine does not serve it either.
        UnsatisfiableError: no token can begin a match.
        LimitExceededError: the pattern or the first mask takes more than the limits.
    """
    with one_call(int(limits.fuel), 0):
        language = language_of(
            constraint.pattern, int(constraint.flags), constraint.dialect, dict(constraint.named_lists), limits
        )
        return SearchConstraint(language, vocabulary, limits, reason)
