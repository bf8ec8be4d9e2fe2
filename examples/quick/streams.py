"""From a history to the live stream: no hole, and nothing twice."""

from boundedcollections import BoundedHistory, Broadcast

history = BoundedHistory[str](max_items=1_000, max_bytes=1_000_000, name="room")
hub = Broadcast[str](max_items=100, first_seq=history.next_seq, name="room")


def publish(text: str) -> None:
    history.append(text)  # the history first: a reader may come in between
    hub.send(text)


for number in range(5):
    publish(f"message {number}")

past = history.since(2)
publish("sent while the reader was on its way")
live = hub.subscribe(after=past.next_seq - 1)
publish("sent afterwards")

print(past.items, past.missed)
print(live.receive_many_blocking().items)
