"""One stream, one copy, two readers: the slow one does not delay the quick one."""

import asyncio

from boundedcollections import Broadcast


async def main() -> None:
    hub = Broadcast[str](max_items=4, name="news")
    quick, slow = hub.subscribe(), hub.subscribe()

    for number in range(10):
        hub.send(f"news {number}")
        await quick.receive()

    batch = await slow.receive_many()
    print(f"the slow reader missed {batch.missed}, and still got {batch.items}")


asyncio.run(main())
