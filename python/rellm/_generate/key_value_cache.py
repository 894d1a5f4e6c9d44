"""The key-value cache of our decoding loops, whose length is checked after every forward pass.

A rejected draft that stayed in the cache, or a token that never got there, would make the model read a text that was
not written. No error would show it: the text only gets worse. So we do not rely on how a release of transformers
behaves. The cache is found by its class and not by the name of an argument; after every pass and every crop its length
has to be the number of tokens that were fed. If it does not tell its length, `TakePlainLoop` passes the call to
transformers' own loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TakePlainLoop(Exception):  # noqa: N818 (not an error: transformers' own loop takes over)
    """Our loops cannot verify the cache of this model."""


class NotForBatches(Exception):  # noqa: N818 (not an error either)
    """The model or its cache cannot skip columns by the attention mask."""


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
        """The cache among the arguments that `generate` has prepared; None if the call uses none.

        Raises:
            TakePlainLoop: there should be a cache and it is not found, or it does not tell its length.
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
        """The number of tokens that it holds; None if it does not tell (recurrent states)."""
        try:
            length = self.cache.get_seq_length()
            return int(length)
        except (AttributeError, TypeError, ValueError, RuntimeError, NotImplementedError, IndexError):
            return None

    @property
    def can_crop(self) -> bool:
        """Whether tokens can be removed from its end."""
        own = getattr(self.cache, "self_attention_cache", self.cache)
        croppable = getattr(own, "is_croppable", None)
        if croppable is None:  # before transformers 5.15 only the class shows it
            return _is_plain_dynamic(own)
        return bool(croppable)

    @property
    def can_hold_holes(self) -> bool:
        """Whether the attention mask can leave columns out: not with a sliding window, which counts them."""
        return _is_plain_dynamic(self.cache) and self.can_crop

    def begin(self) -> None:
        """Keep what a later `crop` needs; sliding windows drop it otherwise."""
        if hasattr(self.cache, "is_croppable"):  # in older releases crop(0) empties the cache
            self.cache.activate_past_recording()
            self._records_past = True

    def crop(self, tokens: int, left: int) -> None:
        """Remove the last `tokens`, so that `left` remain.

        Raises:
            TakePlainLoop: it does not hold `left` tokens after that.
        """
        if tokens or self._records_past:  # crop(0) makes a sliding window drop the past that it kept for a crop
            self.cache.crop(-tokens)
        self.expect(left)

    def expect(self, tokens: int, outputs: Any = None) -> None:
        """Raise `TakePlainLoop` unless it holds exactly `tokens` tokens, and `outputs` have no other cache."""
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
