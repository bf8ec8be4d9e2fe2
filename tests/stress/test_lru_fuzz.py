"""Nothing that a key, a value, a size, a clock or a listener does brings the cache down."""

import contextlib
import gc
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from caches import FORMS

from boundedcollections import BoundedError
from boundedcollections.testing import check_invariants

# This file is also the program that the tests run, in a process with every check of the
# interpreter and of its allocator switched on.

RANDOM = random.Random()
CACHES: list[Any] = []
DEPTH = threading.local()
MAX_BYTES = 20_000


class Refused(Exception):
    """What hostile code raises."""


def meddle(*, raising: bool = True) -> None:
    """Use any cache, or raise; in the middle of whatever is under way, but not without end."""
    depth = getattr(DEPTH, "value", 0)
    if depth >= 3 or RANDOM.random() > 0.1:
        return
    DEPTH.value = depth + 1
    try:
        RANDOM.choice(ACTS)(RANDOM.choice(CACHES))
    except (Refused, KeyError, BoundedError):
        pass
    finally:
        DEPTH.value = depth
    if raising and RANDOM.random() < 0.05:
        raise Refused


class Key:
    """Equal to all of its number; some hash alike."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        meddle()
        return self.number % 5

    def __eq__(self, other: object) -> bool:
        meddle()
        return isinstance(other, Key) and self.number == other.number

    def __del__(self) -> None:
        meddle(raising=False)


class Value:
    """One that dies loudly, sometimes only by the garbage collector."""

    def __init__(self) -> None:
        self.size = RANDOM.choice([0, 1, 100, 3_000, 30_000, 10**30])
        if RANDOM.random() < 0.2:
            self.me = self

    def __del__(self) -> None:
        meddle(raising=False)


def sizeof(thing: object) -> int:
    meddle()
    return thing.size if isinstance(thing, Value) else 10


def clock() -> float:
    meddle()
    return RANDOM.choice([0.0, 1.0, 2.0, 1e9])


def on_evict(*_: object) -> None:
    meddle()


def a_key() -> Any:
    number = RANDOM.randint(0, 30)
    return RANDOM.choice([number, str(number), (number, "x"), Key(number), f"ü{number}"])


def load(_: object) -> Value:
    meddle()
    return Value()


ACTS: list[Callable[[Any], object]] = [
    lambda cache: cache.get(a_key()),
    lambda cache: cache.put(a_key(), Value()),
    lambda cache: cache.put(a_key(), Value(), ttl_seconds=RANDOM.choice([0.5, 2, 1e12])),
    lambda cache: cache.__setitem__(a_key(), Value()),
    lambda cache: cache.setdefault(a_key(), Value()),
    lambda cache: cache.pop(a_key(), None),
    lambda cache: cache.__delitem__(a_key()),
    lambda cache: cache.popitem(),
    lambda cache: cache.peek(a_key()),
    lambda cache: a_key() in cache,
    lambda cache: cache.expires_in(a_key()),
    lambda cache: cache.remeasure(a_key()),
    lambda cache: cache.get_or_load(a_key(), load),
    lambda cache: cache.snapshot(),
    lambda cache: [cache.least_recent(), cache.most_recent()],
    lambda cache: cache.statistics(),
    lambda cache: cache.__getstate__(),
    lambda cache: cache.purge_expired(),
    lambda cache: cache.resize(
        max_bytes=RANDOM.randint(300, MAX_BYTES), max_items=RANDOM.randint(1, 40)
    ),
    lambda cache: cache._aim(RANDOM.randint(0, MAX_BYTES)),
    lambda cache: cache._shed(),
    lambda cache: RANDOM.random() < 0.1 and cache.clear(),
    lambda cache: RANDOM.random() < 0.1 and gc.collect(),
]


class Pressed:
    """Stands for the place in a budget, and for the account there."""

    max_bytes: int

    @property
    def account(self) -> "Pressed":
        return self

    def press(self, _: int) -> None:
        meddle()


def settings() -> dict[str, Any]:
    return {
        "max_bytes": MAX_BYTES,
        "max_entry_bytes": RANDOM.choice([None, 2_000]),
        "ttl_seconds": RANDOM.choice([None, 1.5]),
        "sizeof": sizeof,
        "clock": clock,
        "on_evict": RANDOM.choice([None, on_evict]),
    }


def made(form: Any) -> Any:
    cache = form(**settings())
    cache._place = Pressed()
    return cache


def begin_again(cache: Any) -> None:
    """Initialise a cache once more; nobody is promised anything, but for no crash."""
    if RANDOM.random() < 0.1:
        cache.__init__(**settings())
        cache._place = Pressed()


def fuzz(form: str, seed: int, threads: int, operations: int) -> None:
    RANDOM.seed(seed)
    sys.setswitchinterval(1e-6)
    # Two locked caches, each used by the keys of the other, could wait for each other for ever.
    alone = threads > 1 and form != "compiled"
    CACHES[:] = [made(FORMS[form]) for _ in range(1 if alone else 3)]
    if form == "compiled":
        ACTS.append(begin_again)

    def work() -> None:
        for _ in range(operations):
            with contextlib.suppress(Refused, KeyError, BoundedError):
                RANDOM.choice(ACTS)(RANDOM.choice(CACHES))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    DEPTH.value = 9  # from here on nobody meddles
    check_invariants(*CACHES)
    for cache in CACHES:
        cache.clear()
        assert cache.statistics().items == 0
    sys.stdout.write("survived\n")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "operations",
    [6_000, pytest.param(600_000, marks=[pytest.mark.long, pytest.mark.timeout(1_800)])],
)
def test_hostile_code_of_users_does_no_harm(form: str, threads: int, operations: int) -> None:
    seed = random.randrange(10**6)
    run = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "ignore",
            __file__,
            form,
            str(seed),
            str(threads),
            str(operations),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=1_500,
        env={
            **os.environ,
            "PYTHONMALLOC": "debug",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        },
    )
    assert run.stdout == "survived\n", f"seed {seed}: {run.returncode}\n{run.stderr[-4_000:]}"


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: None
    fuzz(sys.argv[1], *map(int, sys.argv[2:]))
