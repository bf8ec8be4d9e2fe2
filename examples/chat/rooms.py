"""The rooms: a bounded number of them."""

from boundedcollections import MemoryBudget
from chat.config import Limits
from chat.protocol import Refused
from chat.room import Room


class Rooms:
    """Opens rooms when somebody enters, and gives up the one that has been empty longest."""

    def __init__(self, limits: Limits, budget: MemoryBudget) -> None:
        self._limits = limits
        self._budget = budget
        self._rooms: dict[str, Room] = {}  # those that are empty in the order they became so

    def enter(self, name: str) -> Room:
        """
        Return the room `name` with one more member in it.

        Raises:
            Refused: too_many_rooms; every room that could make place has somebody in it.
        """
        room = self._rooms.get(name)
        if room is None:
            self._make_place()
            room = self._rooms[name] = Room(name, self._limits, self._budget)
        room.join()
        return room

    def leave(self, room: Room) -> None:
        """Take one member out of `room`."""
        room.leave()
        self._rooms[room.name] = self._rooms.pop(room.name)

    def __len__(self) -> int:
        return len(self._rooms)

    def _make_place(self) -> None:
        most = self._limits.max_rooms
        if len(self._rooms) < most:
            return
        idle = next((room for room in self._rooms.values() if room.is_idle), None)
        if idle is None:
            raise Refused("too_many_rooms", f"all {most} rooms are in use; join one of them")
        del self._rooms[idle.name]
