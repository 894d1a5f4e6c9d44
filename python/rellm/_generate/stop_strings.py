"""Stop strings: literal texts at which a completion is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def stop_strings(stop: str | Sequence[str] | None) -> tuple[bytes, ...]:
    """The stop strings as bytes; they are literal, never patterns."""
    if stop is None:
        return ()
    if isinstance(stop, bytes) or not isinstance(stop, Iterable):
        raise TypeError(f"stop is {type(stop).__name__} {stop!r}: pass str, or a list of str")
    strings = [stop] if isinstance(stop, str) else list(stop)
    for string in strings:
        if not isinstance(string, str):
            raise TypeError(f"a stop string is {type(string).__name__}: pass str, or a list of str")
        if not string:
            raise ValueError("an empty stop string would end every text before it begins: leave it out")
    return tuple(string.encode() for string in strings)


def find_stop(data: bytes, stops: Sequence[bytes]) -> int:
    """Where the first stop string begins in `data`; −1 if there is none."""
    found = [at for at in (data.find(stop) for stop in stops) if at >= 0]
    return min(found, default=-1)
