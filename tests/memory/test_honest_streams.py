"""What channels and broadcasts claim, against what tracemalloc sees."""

import random
from collections.abc import Callable

import pytest
from memory.traced import OBJECT_BYTES, shallow, traced

from boundedcollections import TooLarge
from boundedcollections._core.payload import ENTRY_BYTES, NUMBER_BYTES
from boundedcollections.broadcast import Broadcast
from boundedcollections.channel import DropOldestChannel

Stream = DropOldestChannel[bytes] | Broadcast[bytes]
MAKES: dict[str, Callable[..., Stream]] = {
    "channel": DropOldestChannel,
    "broadcast": Broadcast,
}
SPARE_BLOCKS_BYTES = 16 * 544
"""As many blocks does a deque keep for later, from 3.12 on, each with room for 64 items."""
SPARE_PAIRS_BYTES = 2_000 * 56
"""As many freed pairs does the interpreter keep for all, until it next collects everything."""


@pytest.fixture(params=list(MAKES.values()), ids=list(MAKES))
def make(request: pytest.FixtureRequest) -> Callable[..., Stream]:
    create: Callable[..., Stream] = request.param
    return create


@pytest.mark.usefixtures("every_build")
@pytest.mark.parametrize("max_bytes", [60_000, 1_500_000])
@pytest.mark.parametrize("largest", [10, 700, 15_000])
def test_the_bound_holds_in_traced_bytes_at_every_moment(
    make: Callable[..., Stream],
    max_bytes: int,
    largest: int,
) -> None:
    source = random.Random(3)
    warm = make(max_bytes=9_000, sizeof=shallow)  # what a first call and a first drop set up stays
    while not warm._dropped:
        warm.send(bytes(900))
    with traced() as memory:
        stream = make(max_bytes=max_bytes, sizeof=shallow)
        while stream._dropped < 1_000:
            stream.send(source.randbytes(source.randint(9, largest)))
        now, peak = memory()
    in_hand = 2 * largest + 2_000  # the item, the figure it is made from, what a call needs to run
    assert peak <= max_bytes + in_hand + OBJECT_BYTES
    claimed = stream.current_bytes
    share = 0.87 if largest == 10 else 0.95  # a pair of 56 bytes takes a block of 64
    assert share * claimed - OBJECT_BYTES <= now <= claimed + OBJECT_BYTES
    assert claimed > max_bytes - 2 * largest - 300
    stream._check()


def test_small_items_that_make_way_for_large_ones_leave_only_what_is_kept_in_reserve(
    make: Callable[..., Stream],
) -> None:
    make(max_bytes=9_000).send(b"warm up")
    with traced() as memory:
        stream = make(max_bytes=300_000, sizeof=shallow)
        for number in range(4_000):
            stream.send(b"%d" % number)
        for _ in range(50):
            stream.send(bytes(9_000))
        now, peak = memory()
    assert now <= stream.current_bytes + OBJECT_BYTES + SPARE_BLOCKS_BYTES
    spare = SPARE_BLOCKS_BYTES + SPARE_PAIRS_BYTES
    assert peak <= 300_000 + 2 * 9_100 + OBJECT_BYTES + spare


def test_what_was_taken_is_given_back() -> None:
    with traced() as memory:
        channel = DropOldestChannel[bytes](max_bytes=3_000_000, sizeof=shallow)
        for number in range(10_000):
            channel.send(b"%d" % number)
        full, _ = memory()
        while len(channel) > 10:
            channel.receive_nowait()
        drained, _ = memory()
    assert full > 1_000_000
    assert drained < OBJECT_BYTES + SPARE_BLOCKS_BYTES
    assert channel.current_bytes == sum(shallow(b"%d" % n) + own(n) for n in range(9_990, 10_000))


def own(number: int) -> int:
    booked = shallow(b"%d" % number) + ENTRY_BYTES
    return ENTRY_BYTES if booked <= 256 else ENTRY_BYTES + NUMBER_BYTES


@pytest.mark.parametrize("payload", [0, 100, 183, 184, 400])
def test_an_item_that_does_not_fit_with_its_entry_is_refused_with_the_figures(
    make: Callable[..., Stream], payload: int
) -> None:
    stream = make(max_bytes=10_000, name="output")
    stream.send(b"x", size=payload)
    booked = stream.current_bytes
    assert booked - payload in {ENTRY_BYTES, ENTRY_BYTES + NUMBER_BYTES}
    stream = make(max_bytes=booked, name="output")
    stream.send(b"fits", size=payload)
    tight = make(max_bytes=booked - 1, name="output")
    with pytest.raises(TooLarge, match=rf"'output' .* {booked} bytes.* {booked - 1} bytes"):
        tight.send(b"does not fit", size=payload)
    assert (len(tight), tight.current_bytes, tight.statistics().rejected) == (0, 0, 1)
    with pytest.raises(TooLarge) as caught:
        stream.send(b"one too many", size=payload + 1)
    assert caught.value.limit == booked < caught.value.size
    assert len(stream) == 1


async def test_a_batch_is_limited_by_the_bytes_of_its_items_alone() -> None:
    """Whoever joins them for one write counts what is written."""
    channel = DropOldestChannel[bytes](max_bytes=100_000)
    hub = Broadcast[bytes](max_bytes=100_000)
    reader = hub.subscribe()
    for size in (100, 200, 300, 400):
        channel.send(bytes(size))
        hub.send(bytes(size))
    for receive in (channel.receive_many, reader.receive_many):
        assert [len(item) for item in (await receive(max_bytes=600)).items] == [100, 200, 300]
        assert [len(item) for item in (await receive(max_bytes=399)).items] == [400]


def test_a_stream_that_counts_no_bytes_charges_nothing(make: Callable[..., Stream]) -> None:
    stream = make(max_items=10)
    stream.send(b"x" * 1_000)
    assert stream.current_bytes == 0


def test_a_subscription_that_stalls_costs_nothing_more() -> None:
    hub = Broadcast[int](max_items=100)
    hub.send_many(range(1_000))
    stalled = [hub.subscribe() for _ in range(1_000)]
    with traced() as memory:
        hub.send_many(range(10_000, 20_000))
        now, _ = memory()
    assert stalled[0].lag == 10_000
    assert now < 8 * len(stalled)  # the hundred numbers in the ring
