"""A forked child never waits for a lock that its parent held, nor for threads that it does not have."""

from __future__ import annotations

import itertools
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import rellm
from rellm import _core

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

TOKENS: list[bytes | None] = [
    bytes(letters) for length in range(1, 10) for letters in itertools.product(b"ab", repeat=length)
]
EOS = len(TOKENS)
SECONDS = 20


@pytest.fixture(scope="module")
def vocabulary() -> rellm.Vocabulary:
    return rellm.Vocabulary([*TOKENS, None], eos_token_ids=[EOS])


def in_child(work: Callable[[], bytes]) -> bytes:
    """What `work` returns in a forked child; the test fails where that takes for ever."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, work() or b"-")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answered = bool(select.select([pipe], [], [], SECONDS)[0])
        if not answered:
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert answered, "the forked child waits for a thread that it does not have"
        return pipe.read()


@contextmanager
def meanwhile(*works: Callable[[int], object]) -> Iterator[list[BaseException]]:
    """Does each of `works` over and over, each on a thread of its own, counting up."""
    over = threading.Event()
    failures: list[BaseException] = []

    def go(work: Callable[[int], object]) -> None:
        try:
            for count in itertools.count():
                if over.is_set():
                    return
                work(count)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=go, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        over.set()
        for thread in threads:
            thread.join()


def filled(compiled: list[rellm.CompiledConstraint], written: bytes) -> bytes:
    """The masks of a batch while `written` is written."""
    matchers = [constraint.matcher() for constraint in compiled]
    out = np.zeros((len(matchers), -(-(EOS + 1) // 32)), np.uint32)
    for byte in written:
        rellm.fill_masks(matchers, out, threads=2)
        for matcher in matchers:
            matcher.advance(TOKENS.index(bytes([byte])))
    rellm.fill_masks(matchers, out, threads=2)
    return out.tobytes()


def test_a_forked_child_fills_batches_with_threads_of_its_own(vocabulary: rellm.Vocabulary) -> None:
    def fresh() -> bytes:
        return filled([rellm.compile(f"[ab]*a[ab]{{{i + 40}}}", vocabulary) for i in range(24)], b"abba")

    expected = fresh()
    rellm._engines.compile._cache.clear()
    assert in_child(fresh) == expected == fresh()


def test_a_child_forked_while_other_threads_are_inside_calls_can_do_all_that_they_do(
    vocabulary: rellm.Vocabulary,
) -> None:
    # Each mask needs hundreds of new states, so that nearly every fork meets threads inside calls.
    shared = [rellm.compile(f"[ab]*a[ab]{{{i + 40}}}", vocabulary) for i in range(8)]
    dice = random.Random(1)
    matcher = shared[0].matcher()
    # Python itself leaves a module locked in the child whose first import was under way.
    rellm.compile(r"(a|b)(?=(.))(?:a?|b|ab)*\2b", vocabulary).matcher().mask()

    def mask(_: int) -> None:
        constraint = shared[0]
        one = constraint.matcher()
        for _ in range(12):
            one.mask()
            one.advance(dice.randrange(2))
        matcher.mask()
        matcher.shortest_completion()

    def batch(_: int) -> None:
        filled(shared, bytes(dice.choices(b"ab", k=6)))

    def compile_new(count: int) -> None:
        rellm.compile(f"[ab]*a[ab]{{{count % 400 + 50}}}", vocabulary)
        assert shared[0].memory_bytes > 0

    def read_vocabulary(_: int) -> None:
        rellm.Vocabulary([*TOKENS[:200], None], eos_token_ids=[200])

    def search(_: int) -> None:
        other = rellm.compile(r"(a|b)(?=(.))(?:a?|b|ab)*\2b", vocabulary).matcher()
        other.mask()

    def all_of_it() -> bytes:
        mask(0)
        batch(0)
        compile_new(0)
        read_vocabulary(0)
        search(0)
        return b"done"

    with meanwhile(mask, batch, compile_new, read_vocabulary, search) as failures:
        began = time.monotonic()
        for _ in range(40):
            assert in_child(all_of_it) == b"done"
            assert not failures, failures
            time.sleep(dice.random() / 100)
            if time.monotonic() - began > 8:
                break


def test_a_fork_waits_for_a_call_no_longer_than_the_call_takes(vocabulary: rellm.Vocabulary) -> None:
    constraint = rellm.compile("[ab]*a[ab]{40}", vocabulary)

    def mask(_: int) -> None:
        one = constraint.matcher()
        for token in (0, 1, 0, 1):
            one.mask()
            one.advance(token)

    with meanwhile(mask, mask):
        began = time.monotonic()
        for _ in range(20):
            in_child(lambda: b"")
        assert time.monotonic() - began < 10


def test_a_thread_may_fork_while_python_is_asked_inside_a_call() -> None:
    # The native part asks Python for a property's characters in the middle of reading a pattern.
    answers = []

    class Asked:
        def property(self, *_: object) -> None:
            answers.append(in_child(lambda: b"done"))

    dialect = _core.Dialect("ecma", 0, b"", Asked())
    with pytest.raises(ValueError, match="property"):
        dialect.character_class(r"\p{Letter}", 0)
    assert answers == [b"done"]


def test_a_module_that_is_read_twice_does_not_stop_forks() -> None:
    # Reading it registers what is done at a fork once more.
    program = (
        "import importlib, os, rellm, rellm._fork\n"
        "importlib.reload(rellm._fork)\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
