"""A reader that was away learns exactly what it missed."""

from boundedcollections import BoundedHistory

room = BoundedHistory[str](max_items=100, max_bytes=64_000, name="room")
room.extend(f"message {number}" for number in range(250))

here = room.since(0)
print(f"{here.missed} messages are gone, {len(here.items)} are left")

room.append("while you were away")
back = room.since(here.next_seq)
print(back.items, back.missed)
