"""Masks within a token budget: every text can still reach a match with the tokens that are left.

With `left` tokens to write, a token may come next only if a match needs at most `left − 1` more tokens after it,
measured in tokens of the vocabulary, exactly. An end-of-sequence token costs nothing: a match that uses the last
token of the budget is complete.
"""

from __future__ import annotations

from typing import Any

from rellm._errors import BudgetError
from rellm._generate.apply_mask import Packed

SLACK = 4
"""Tokens reserved for a natural end: in the last few tokens only tokens that do not increase the distance to a match
are allowed, so that the text ends in tokens that the model would write, and not in the fewest possible."""


def tokens_needed(matcher: Any) -> int | None:
    """The least number of tokens needed to reach a match from here; None if the engine does not know it."""
    completion = matcher.shortest_completion()
    if completion is None:
        return None
    # A completion of n bytes takes at most n tokens, because no token is empty: an upper bound.
    needed: int | None = matcher.tokens_to_match(max(len(completion), 1))
    return needed


def check_budget(matcher: Any, max_new_tokens: int, what: str = "max_new_tokens") -> None:
    """Raise `BudgetError` if no match fits into `max_new_tokens` tokens."""
    if matcher.shortest_completion() is None:  # the search engine has no bound
        return
    budget = max(max_new_tokens, 0)
    if matcher.matches_within(budget) or matcher.tokens_to_match(budget) is not None:
        return
    needed = tokens_needed(matcher)
    raise BudgetError(
        f"no match fits into {what}={max_new_tokens}: the shortest takes {needed} tokens of this vocabulary; "
        f"raise {what} to at least {needed}",
        needed=needed,
    )


def fill_mask_in_budget(matcher: Any, out: Packed, row: int, left: int) -> bool:
    """The mask of `matcher` with `left` tokens still to be written (this one included).

    Returns:
        Whether the budget may have taken tokens away; False where it certainly has not.
    """
    farthest = matcher.longest_way
    if farthest is not None and left - SLACK > farthest:  # after any token, a match stays within the budget
        matcher.fill_mask(out, row)
        return False
    left = max(left, 0)
    if matcher.shortest_completion() is None:
        matcher.fill_mask(out, row)
        return False
    early = left - SLACK - 1
    if early >= 0 and matcher.matches_within(early):
        matcher.fill_mask_within(out, row, early + 1)
        return True
    # Within the slack: allow no token that increases the distance to a match, as long as the budget holds a match.
    nearest = matcher.tokens_to_match(left)
    matcher.fill_mask_within(out, row, left if nearest is None else min(left, nearest + 1))
    return True
