"""The levels of a process's memory, and the figures at which they begin, end, and what they aim at."""

import enum
from dataclasses import dataclass, field, fields
from typing import Final

from boundedcollections._core.units import GiB, MiB, positive_int, positive_seconds


class Level(enum.IntEnum):
    """
    How short memory is, for the process as a whole.

    >>> Level.HIGH > Level.ELEVATED, str(Level.CRITICAL)
    (True, 'critical')
    """

    NORMAL = 0
    """There is room: collections may grow."""
    ELEVATED = 1
    """No collection grows any more."""
    HIGH = 2
    """Work that can wait should wait; garbage is collected."""
    CRITICAL = 3
    """New connections and reservations are refused."""

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One level of the ladder, in fractions of the limit.

    Attributes:
        enter: the level begins at so much use.
        leave: it can end at so much use, or less.
        goal: the use that the collections' target aims at meanwhile.
    """

    enter: float
    leave: float
    goal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """
    The ladder, and how fast anything may change. The defaults suit a service of its own.

    >>> PolicyConfig(goal=0.8)
    Traceback (most recent call last):
    ...
    ValueError: goal must be a fraction from 0 up to 0.75, where the next level begins, got 0.8

    Attributes:
        goal: the use that the collections' target aims at in the level NORMAL, as a fraction of
            the limit, like all that follow in `elevated`, `high` and `critical`.
        elevated: the step to ELEVATED.
        high: the step to HIGH.
        critical: the step to CRITICAL.
        calm_seconds: how long the use must have been low enough before a level is left.
        rise_per_second: how fast the target rises in calm, as a fraction of the limit.
        noise: changes of the use by less than this fraction of the limit change no target.
        memory_seconds: the time in which what was learned fades: the use beside the collections
            in calm, and the speed of growth.
        peak_seconds: how long, at least, a peak of that use is expected to come back.
        kept_seconds: the time in which the belief fades that the allocator has kept what was
            freed: by then it has been trimmed, or something else has taken the place.
        settled_seconds: where nothing has moved for so long, however high the use, only the least
            that was ever used beside the collections counts: what came and will not go is not a
            shortage that refusing could end.
        stalled_percent: more waiting for memory than this raises the level by one.
        collect_from: the level from which on garbage is to be collected.
        trim_bytes: the allocator is to be trimmed when it seems to keep more than this, or than
            `trim_fraction` of the limit if that is less. In calm it seems to keep what was never
            used before; above NORMAL it may keep all that is used beside claims.
        trim_fraction: see `trim_bytes`.
        fastest_seconds: the least time between two samples.
        pressed_seconds: the most time between two samples above NORMAL.
        slowest_seconds: the most time between two samples.
        log_seconds: the time between two lines in the log.
        steps: the step that leads to each level; NORMAL is entered at 0.
    """

    goal: float = 0.70
    elevated: Step = Step(enter=0.75, leave=0.70, goal=0.67)
    high: Step = Step(enter=0.85, leave=0.80, goal=0.62)
    critical: Step = Step(enter=0.93, leave=0.90, goal=0.56)
    calm_seconds: float = 5.0
    rise_per_second: float = 0.02
    noise: float = 0.01
    memory_seconds: float = 15.0
    peak_seconds: float = 600.0
    kept_seconds: float = 120.0
    settled_seconds: float = 300.0
    stalled_percent: float = 10.0
    collect_from: Level = Level.HIGH
    trim_bytes: int = 64 * MiB
    trim_fraction: float = 0.05
    fastest_seconds: float = 0.1
    pressed_seconds: float = 0.25
    slowest_seconds: float = 1.0
    log_seconds: float = 30.0
    steps: tuple[Step, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        above = 0.0
        for name, step in (
            ("elevated", self.elevated),
            ("high", self.high),
            ("critical", self.critical),
        ):
            if not above < step.enter <= 1:
                raise ValueError(f"{name}.enter must be above {above} and at most 1, got {step}")
            if not 0 <= step.goal <= step.leave < step.enter:
                raise ValueError(f"{name} must have goal <= leave < enter, got {step}")
            above = step.enter
        normal = Step(enter=0.0, leave=0.0, goal=self.goal)
        object.__setattr__(self, "steps", (normal, self.elevated, self.high, self.critical))
        if not 0 <= self.goal < self.elevated.enter:
            raise ValueError(
                f"goal must be a fraction from 0 up to {self.elevated.enter}, "
                f"where the next level begins, got {self.goal}"
            )
        for name in ("rise_per_second", "noise", "trim_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be a fraction above 0 and at most 1, got {getattr(self, name)}"
                )
        for name in _DURATIONS:
            positive_seconds(name, getattr(self, name))
        positive_int("trim_bytes", self.trim_bytes)
        if not self.fastest_seconds <= self.pressed_seconds <= self.slowest_seconds:
            raise ValueError(
                "fastest_seconds <= pressed_seconds <= slowest_seconds must hold, got "
                f"{self.fastest_seconds}, {self.pressed_seconds}, {self.slowest_seconds}"
            )


_DURATIONS: Final = tuple(
    field.name for field in fields(PolicyConfig) if field.name.endswith("_seconds")
)
LADDER: Final = PolicyConfig()
"""The default, for a service whose limit is that of its container."""

ONE_GIB_SERVICE: Final = PolicyConfig(
    goal=0.45,
    elevated=Step(enter=500 * MiB / GiB, leave=0.45, goal=0.43),
    high=Step(enter=0.65, leave=0.60, goal=0.43),
    critical=Step(enter=800 * MiB / GiB, leave=0.75, goal=0.40),
    collect_from=Level.ELEVATED,
)
"""For a limit of 1 GiB: garbage is collected from 500 MiB on, and 800 MiB are critical."""
