"""The key-value cache of our own loops: found by its class, and asked after every pass whether it holds what was fed.

A rejected draft that stayed in the cache, or a token that never got there, would make the model read a text that was
not written. No error tells: the text only gets worse. So nothing is taken on trust from a release of transformers. The
cache is found by its class and not by the name of an argument; after every pass and every crop its length has to be
that of the tokens that were fed. Where that cannot be told, `TakePlainLoop` hands the call to transformers' own loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TakePlainLoop(Exception):  # noqa: N818 (not an error: transformers' own loop takes over)
    """A loop of ours cannot be sure of this model's cache."""


class NotForBatches(Exception):  # noqa: N818 (not an error either)
    """The model or its cache cannot leave columns out."""


class KeyValueCache:
    """A `transformers.Cache`, by its public methods alone.

    Attributes:
        name: the argument of the model's `forward` that takes it.
        cache: the cache itself.
    """

    def __init__(self, name: str, cache: Any) -> None:
        self.name = name
        self.cache = cache
        self._records_past = False

    @classmethod
    def of(cls, model_kwargs: Mapping[str, Any]) -> KeyValueCache | None:
        """The cache among the arguments that `generate` has prepared; None if the call does without one.

        Raises:
            TakePlainLoop: there should be one and it is not found, or it does not say how long it is.
        """
        found = [(name, value) for name, value in model_kwargs.items() if _is_cache(value)]
        if not found and model_kwargs.get("use_cache") is False:
            return None
        if len(found) != 1:
            raise TakePlainLoop(f"{len(found) or 'no'} caches were found among the arguments of generate")
        cache = cls(*found[0])
        cache.expect(0)
        return cache

    @property
    def length(self) -> int | None:
        """How many tokens it holds; None if it cannot tell (recurrent states)."""
        try:
            length = self.cache.get_seq_length()
            return int(length)
        except (AttributeError, TypeError, ValueError, RuntimeError, NotImplementedError, IndexError):
            return None

    @property
    def can_crop(self) -> bool:
        """Whether tokens can be taken back out of it."""
        own = getattr(self.cache, "self_attention_cache", self.cache)
        croppable = getattr(own, "is_croppable", None)
        if croppable is None:  # before transformers 5.15 nothing says so but the class
            return _is_plain_dynamic(own)
        return bool(croppable)

    @property
    def can_hold_holes(self) -> bool:
        """Whether columns can be left out by the attention mask: not where a window counts them."""
        return _is_plain_dynamic(self.cache) and self.can_crop

    def begin(self) -> None:
        """Keep what a later `crop` needs; sliding windows drop it otherwise."""
        if hasattr(self.cache, "is_croppable"):  # before, crop(0) meant: down to nothing
            self.cache.activate_past_recording()
            self._records_past = True

    def crop(self, tokens: int, left: int) -> None:
        """Take back the last `tokens`, so that `left` are left.

        Raises:
            TakePlainLoop: it does not hold `left` tokens after that.
        """
        if tokens or self._records_past:  # with 0 a sliding window drops here what it kept for taking back
            self.cache.crop(-tokens)
        self.expect(left)

    def expect(self, tokens: int, outputs: Any = None) -> None:
        """Raise `TakePlainLoop` unless it holds exactly so many tokens, and `outputs` hand back no other cache."""
        length = self.length
        if length != tokens:
            held = "an unknown number of tokens" if length is None else f"{length} tokens"
            raise TakePlainLoop(f"{type(self.cache).__name__} holds {held} where {tokens} were fed")
        if any(_is_cache(value) and value is not self.cache for value in _values(outputs)):
            raise TakePlainLoop("the model handed back another cache than it was given")


def _values(outputs: Any) -> list[Any]:
    return list(outputs.values()) if isinstance(outputs, Mapping) else []


def _is_cache(value: Any) -> bool:
    import transformers

    return isinstance(value, transformers.Cache)


def _is_plain_dynamic(cache: Any) -> bool:
    import transformers

    return isinstance(cache, transformers.DynamicCache) and not any(getattr(cache, "is_sliding", [True]))
