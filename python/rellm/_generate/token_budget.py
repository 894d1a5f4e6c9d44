"""Closing within the budget: while tokens are left for it, every text can still become a match.

With `left` tokens to write, a token may come next only if a match needs at most `left − 1` more tokens after it,
measured in tokens of the vocabulary, exactly. An end-of-sequence token costs nothing: a match that uses the last
token of the budget is complete.
"""

from __future__ import annotations

from typing import Any

from rellm._errors import BudgetError
from rellm._generate.apply_mask import Packed

SLACK = 4
"""Tokens kept back for a natural end: in the last few tokens only tokens that bring the end no further away are
allowed, so that the text winds down in the tokens that the model would write, and not in the fewest possible."""


def tokens_needed(matcher: Any) -> int | None:
    """The least number of tokens to a match from here; None if the engine cannot tell."""
    completion = matcher.shortest_completion()
    if completion is None:
        return None
    # A completion of n bytes is spelled by at most n tokens, none of which is empty.
    needed: int | None = matcher.tokens_to_match(max(len(completion), 1))
    return needed


def check_budget(matcher: Any, max_new_tokens: int, what: str = "max_new_tokens") -> None:
    """Raise `BudgetError` if no match fits into `max_new_tokens` tokens."""
    if matcher.shortest_completion() is None:  # the search engine makes no promise
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
    if farthest is not None and left - SLACK > farthest:  # wherever a token leads, the end stays in reach
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
    # Within the slack: nothing that moves the end further away, as long as the budget holds the end at all.
    nearest = matcher.tokens_to_match(left)
    matcher.fill_mask_within(out, row, left if nearest is None else min(left, nearest + 1))
    return True
