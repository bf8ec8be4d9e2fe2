"""Nothing that a value is, says or does brings a walk down, or makes it keep memory."""

import collections
import gc
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from meters import DEEP, SPENT

from boundedcollections._core import sizing

# This file is also the program that the tests run, in a process with every check of the
# interpreter and of its allocator switched on.

Measure = Callable[[Any, float], int]


WALKS: list[Measure] = [form.values[0] for form in (*DEEP, *SPENT)]  # type: ignore[misc]


def refuse(*_: object) -> Any:
    raise RANDOM.choice([ValueError, RuntimeError, AttributeError, RecursionError, OSError])


RANDOM = random.Random()
WORLD: list[Any] = []
"""Containers that hold each other; whatever runs in the middle of a walk may change any of them."""


def meddle() -> None:
    """Change something, anywhere, and let what is unreachable die."""
    target: Any = RANDOM.choice(WORLD)
    new = fresh()
    match target:
        case list():
            RANDOM.choice([target.clear, target.reverse, lambda: target.append(new)])()
        case dict():
            RANDOM.choice([target.clear, target.copy, lambda: target.update({id(new): new})])()
        case set():
            RANDOM.choice([target.clear, lambda: target.add(id(new))])()
        case collections.deque():
            RANDOM.choice([target.clear, target.rotate, lambda: target.append(new)])()
        case _:
            target.__dict__ = {"new": new}
    WORLD[RANDOM.randrange(len(WORLD))] = new if is_container(new) else target
    if RANDOM.random() < 0.02:
        gc.collect()


def is_container(value: object) -> bool:
    return isinstance(value, (list, dict, set, collections.deque, Meddling))


class Meddling:
    """Changes the world whenever it is looked at, and when it dies."""

    def __init__(self) -> None:
        self.held = [RANDOM.random()]

    def __sizeof__(self) -> int:
        meddle()
        return RANDOM.choice([0, 1, 100, 10**6])

    def __getattr__(self, name: str) -> Any:
        meddle()
        raise AttributeError(name)

    def __del__(self) -> None:
        if WORLD:
            WORLD[0].append(None) if isinstance(WORLD[0], list) else None


class Slotted:
    __slots__ = ("a", "b", "never")

    def __init__(self) -> None:
        self.a = RANDOM.choice(WORLD or [None])
        self.b = [RANDOM.random()]


class Liar:
    __slots__ = ("answer",)

    def __init__(self) -> None:
        self.answer = RANDOM.choice([-1, 0, 2**62, 2**63 - 1, 2**70, "size", None, 1.5])

    def __sizeof__(self) -> Any:
        return self.answer


class Raising:
    __sizeof__ = refuse


class Meta(type):
    __eq__ = __hash__ = __sizeof__ = refuse


class OfMeta(metaclass=Meta):
    pass


class Items(list[Any]):
    __iter__ = __len__ = refuse


class Table(collections.OrderedDict[Any, Any]):
    items = keys = values = refuse


class Same:
    """Equal to everything, with the hash of everything."""

    def __eq__(self, other: object) -> bool:
        meddle()
        return True

    def __hash__(self) -> int:
        return 7


def fresh() -> Any:
    """Return something new: a leaf, something hostile, or a container of what there is."""
    some = [RANDOM.choice(WORLD or [None]) for _ in range(RANDOM.choice([0, 1, 3, 70]))]
    return RANDOM.choice(
        [
            lambda: RANDOM.getrandbits(RANDOM.choice([1, 20, 40, 2000])),
            lambda: RANDOM.choice(["", "x", "é", "€", "😀"]) * RANDOM.randrange(300),
            lambda: RANDOM.randbytes(RANDOM.randrange(300)),
            RANDOM.random,
            *(Meddling, Slotted, Liar, Raising, OfMeta, Same),
            lambda: memoryview(bytearray(10)),
            lambda: (x for x in some),
            lambda: iter(some),
            lambda: {Same(): 1},
            lambda: {RANDOM.random(): value for value in some},
            lambda: {id(value) for value in some},
            lambda: collections.deque(some, maxlen=50),
            lambda: Items(some),
            lambda: Table(enumerate(some)),
            lambda: tuple(some),
            lambda: some,
        ]
    )()


def hostile_graphs(rounds: int, seed: int) -> None:
    RANDOM.seed(seed)
    for _ in range(rounds):
        WORLD[:] = [[], {}, set(), collections.deque(), Meddling()]
        for _ in range(40):
            meddle()
        for measure in WALKS:
            for limit in (math.inf, 5_000):
                assert measure(RANDOM.choice(WORLD), limit) > 0
    WORLD.clear()


def deep_nesting(levels: int) -> None:
    for wrap in (lambda x: [x], lambda x: (x,), lambda x: {1: x}, lambda x: collections.deque([x])):
        value: Any = None
        for _ in range(levels):
            value = wrap(value)
        for measure in WALKS:
            assert measure(value, math.inf) > 40 * levels
        while value:  # one level after the other, not by recursion
            value = value[1] if isinstance(value, dict) else value[0]


def flat_memory(calls: int) -> None:
    """Call each walk so often; neither blocks nor the process may grow."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    shared = ["shared" * 9, bytes(500)]
    values: list[Any] = [
        [{"a": [1.5, "text", None], "b": shared}, {1, 2.5}, (shared, shared)],
        [Broken(), Slotted(), Liar(), memoryview(b"x"), collections.deque([1.5] * 70)],
        [1.5, [[[[]]]], {i: str(i) for i in range(9)}],
    ]
    values[0].append(values)
    for measure in WALKS:
        for limit in (math.inf, 300):
            for value in values:
                for _ in range(200):
                    measure(value, limit)
                before = sys.getallocatedblocks(), resident_bytes()
                for _ in range(calls // (2 * len(WALKS) * len(values))):
                    measure(value, limit)
                assert sys.getallocatedblocks() - before[0] < 100
                assert resident_bytes() - before[1] < 4_000_000


def resident_bytes() -> int:
    """Return what the kernel counts for this process; 0 where that cannot be asked."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def run_checked(name: str, *arguments: int, debug: bool = True) -> None:
    """Run a function of this file in a new process, with the debug hooks unless it is a long one."""
    flags = ["-X", "dev", "-W", "error"] if debug else ["-W", "error"]
    paths = [str(Path(sizing.__file__).parents[2]), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, *flags, __file__, name, *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            **({"PYTHONMALLOC": "debug"} if debug else {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "rounds", [60, pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(1_200)])]
)
def test_hostile_graphs_that_change_under_the_walk_do_no_harm(rounds: int) -> None:
    run_checked("hostile_graphs", rounds, 1 if rounds < 1_000 else random.randrange(2**32))


@pytest.mark.parametrize(
    "levels", [50_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_a_nesting_without_end_needs_no_stack(levels: int) -> None:
    run_checked("deep_nesting", levels)


@pytest.mark.parametrize(
    ("calls", "debug"),
    [
        (40_000, False),
        (3_000, True),
        pytest.param(1_000_000, False, marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
def test_calls_without_number_keep_no_memory(calls: int, debug: bool) -> None:
    run_checked("flat_memory", calls, debug=debug)


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(int, sys.argv[2:]))
