"""A producer that never waits, and a consumer that knows what it missed."""

import asyncio

from boundedcollections import DropOldestChannel


async def main() -> None:
    readings = DropOldestChannel[int](max_items=5, name="readings")

    async def produce() -> None:
        for reading in range(20):
            readings.send(reading)
            if reading % 8 == 7:
                await asyncio.sleep(0.01)
        readings.close()

    producer = asyncio.create_task(produce())
    async for batch in readings:
        print(f"missed {batch.missed}, then {batch.items}")
    await producer


asyncio.run(main())
