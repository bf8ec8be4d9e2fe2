import gc
import threading

import pytest

from boundedcollections.memory.pauses import Pause, PauseRecorder
from boundedcollections.testing import FakeClock


def collected(recorder: PauseRecorder, clock: FakeClock, generation: int, seconds: float) -> None:
    recorder._note("start", {"generation": generation})
    clock.advance(seconds)
    recorder._note("stop", {"generation": generation})


def test_each_collection_is_noted_with_its_generation_and_its_time() -> None:
    clock = FakeClock()
    recorder = PauseRecorder(clock)
    collected(recorder, clock, 0, 0.001)
    collected(recorder, clock, 2, 0.5)
    collected(recorder, clock, 0, 0.25)
    figures = recorder.statistics()
    assert figures.collections == (2, 0, 1)
    assert figures.total_seconds == pytest.approx(0.751)
    assert figures.longest_seconds == pytest.approx(0.5)
    assert [pause.generation for pause in recorder.since(0)] == [0, 2, 0]
    assert recorder.since(2) == recorder.since(0)[2:]
    assert recorder.since(figures.newest_position) == ()


def test_the_newest_are_kept_and_all_are_counted() -> None:
    clock = FakeClock()
    recorder = PauseRecorder(clock)
    for number in range(3_000):
        collected(recorder, clock, 0, number + 1)
    assert recorder.statistics().collections == (3_000, 0, 0)
    kept = recorder.since(0)
    assert len(kept) == 1_024
    assert [pause.seconds for pause in kept] == list(range(3_000 - 1_023, 3_001))


def test_a_collection_that_was_running_when_recording_began_is_not_noted() -> None:
    recorder = PauseRecorder(FakeClock())
    recorder._note("stop", {"generation": 0})
    assert recorder.statistics().newest_position == 0


def test_generations_of_another_collector_count_as_the_oldest() -> None:
    clock = FakeClock()
    recorder = PauseRecorder(clock)
    collected(recorder, clock, 7, 1)
    assert recorder.since(0) == (Pause(2, 1.0),)


def test_it_records_between_start_and_close_only() -> None:
    recorder = PauseRecorder()
    before = list(gc.callbacks)
    gc.collect()
    recorder.start()
    recorder.start()
    gc.collect()
    recorder.close()
    recorder.close()
    gc.collect()
    assert recorder.statistics().collections[2] == 1
    assert recorder.statistics().longest_seconds > 0
    assert gc.callbacks == before


def test_collections_in_many_threads_are_all_counted() -> None:
    recorder = PauseRecorder()
    counted = [0]

    def count(phase: str, _: object) -> None:
        counted[0] += phase == "stop"

    def churn() -> None:
        for _ in range(3_000):
            cycle: list[object] = []
            cycle.append(cycle)

    thresholds = gc.get_threshold()
    gc.set_threshold(20, 5, 5)
    recorder.start()
    gc.callbacks.append(count)
    try:
        threads = [threading.Thread(target=churn) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.callbacks.remove(count)
        recorder.close()
        gc.set_threshold(*thresholds)
    assert recorder.statistics().newest_position == counted[0] > 100
