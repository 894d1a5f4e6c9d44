"""Locks that a forked child can take, even if another thread held them at the fork."""

from __future__ import annotations

import os
from threading import Lock, RLock
from typing import Literal
from weakref import WeakSet

from rellm import _core


class ForkSafeLock:
    """A lock that is free in a forked child.

    A forked child has only the thread that forked: a lock that another thread held at that moment would never be
    released there. These locks guard caches whose single steps are atomic in the interpreter, so a child finds them
    consistent.

    Args:
        reentrant: whether the thread that holds the lock may take it again.
    """

    __slots__ = ("__weakref__", "_lock", "_reentrant")

    def __init__(self, *, reentrant: bool = False) -> None:
        self._reentrant = reentrant
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Takes a new lock in place of the old one."""
        self._lock = RLock() if self._reentrant else Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> Literal[False]:
        self._lock.release()
        return False


_locks: WeakSet[ForkSafeLock] = WeakSet()


def _in_child() -> None:
    _core.after_fork()
    for lock in list(_locks):
        lock.renew()


# The Rust core delays a fork until no other thread is inside one of its calls.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_core.before_fork, after_in_parent=_core.after_fork, after_in_child=_in_child)
