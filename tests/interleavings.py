"""
Run a few acts in threads, one at a time, and switch between them wherever CPython might.

CPython switches threads where a function begins, where a call has returned, and where a loop
starts over. Here only one thread runs; it stops at each of these *points* within the library,
and a plan says who goes on. The same plan makes the same run: what a storm of threads meets once
in ten thousand runs is found every time. Errors that need more than two switches are rare.
Without a GIL, every instruction is a point.

Locks and sleeps would stop the one thread that runs, so a `Scene` has its own.
"""

import dis
import random
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from types import CodeType, FrameType
from typing import Any

Act = Callable[[], object]
Plan = dict[int, float]
"""At which points to switch; and to whom, from 0 for the first of those who could go on, up to 1."""


def interleavings(
    prepare: Callable[["Scene"], Sequence[Act]],
    *,
    within: str,
    has_gil: bool,
    runs: int,
    switches: int = 3,
) -> Iterator[Plan]:
    """
    Run what ``prepare`` returns without a switch, and after random plans; yield after each run.

    `within` is a part of the file name of the code that is to be interrupted.
    """
    chance = random.Random(0)
    plan: Plan = {}
    points = 0
    for _ in range(runs):
        scene = Scene(within, has_gil, plan)
        try:
            scene.run(prepare(scene))
            yield plan
        except Exception as failure:
            failure.add_note(f"the plan was {plan}")
            raise
        points = max(points, scene.points)
        some = chance.sample(range(points), min(chance.randint(1, switches), points))
        plan = {point: chance.random() for point in some}


class Scene:
    """
    One run of some acts. They run in order, but for the switches of the plan.

    Attributes:
        points: how many there were.
        actor: who is running; -1 for nobody but the test itself.
    """

    def __init__(self, within: str, has_gil: bool, plan: Plan) -> None:
        self.points = 0
        self.actor = -1
        self._within = within
        self._has_gil = has_gil
        self._plan = plan
        self._waits: dict[int, Callable[[], bool]] = {}  # what each act waits for; none has ended
        self._bells: list[threading.Semaphore] = []
        self._failures: list[BaseException] = []
        self._is_stuck = False

    def run(self, acts: Sequence[Act]) -> None:
        self._bells = [threading.Semaphore(0) for _ in acts]
        self._waits = {number: lambda: True for number in range(len(acts))}
        threads = [threading.Thread(target=self._play, args=each) for each in enumerate(acts)]
        for thread in threads:
            thread.start()
        self._hand_on()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Let others run until it is so; outside of the acts it has to be so already."""
        me = self.actor
        while not ready():
            self._waits[me] = ready
            self._hand_on()
            self._play_on(me)
        if me >= 0:
            self._waits[me] = lambda: True

    def _able(self) -> list[int]:
        return [act for act, ready in self._waits.items() if ready()]

    def _play(self, me: int, act: Act) -> None:
        try:
            self._play_on(me)
            sys.settrace(self._trace)
            act()
        except BaseException as failure:
            self._failures.append(failure)
        finally:
            sys.settrace(None)
            del self._waits[me]
            self._hand_on()

    def _play_on(self, me: int) -> None:
        self._bells[me].acquire()
        self.actor = me
        if self._is_stuck:
            raise AssertionError("all who are left wait for each other")

    def _hand_on(self, act: int | None = None) -> None:
        self.actor = -1
        if self._waits:
            able = self._able()
            self._is_stuck |= not able
            self._bells[next(iter(able or self._waits)) if act is None else act].release()

    def _point(self) -> None:
        me = self.actor
        choice = self._plan.get(self.points)
        self.points += 1
        others = [] if choice is None else [act for act in self._able() if act != me]
        if choice is not None and others:
            self._hand_on(others[int(choice * len(others))])
            self._play_on(me)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        code = frame.f_code
        if event != "call" or self._within not in code.co_filename:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        is_point = True

        def trace(frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal is_point
            if event == "opcode":
                if is_point and not self._is_stuck:
                    self._point()
                is_point = not self._has_gil or frame.f_lasti in _points_after(code)
            return trace

        return trace


@cache
def _points_after(code: CodeType) -> frozenset[int]:
    """Return the places of the instructions after which CPython looks whether to switch."""
    return frozenset(
        instruction.offset
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith(("CALL", "JUMP_BACKWARD", "POP_JUMP_BACKWARD"))
    )


class Lock:
    """A re-entrant lock, as far as the library uses one."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._owner: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        me = self._scene.actor
        self._scene.wait_for(lambda: self._owner in {None, me})
        self._owner = me
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None


class Sleep:
    """The sleep of a receiver, in a thread or in a coroutine that no loop runs."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._is_over = False

    def __await__(self) -> Generator[Any, Any, None]:
        self.sleep(None)
        yield from ()

    def sleep(self, _seconds: float | None) -> None:
        self._scene.wait_for(lambda: self._is_over)

    def wake(self, _at_work: object) -> None:
        self._is_over = True
