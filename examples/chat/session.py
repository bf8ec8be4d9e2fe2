"""
What a client may do: say hello, and then be a member of a room.

A member has a reader, which obeys one frame after the other and waits for the answers to its own
client only, and a writer, which follows the room in the member's own subscription: what a client
does not read in time is a gap in its own stream, and costs nobody else anything. A third task
tells how many are here.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from aiohttp import WSCloseCode

from chat.config import Limits
from chat.connection import Connection
from chat.files import Files
from chat.protocol import (
    ClientFrame,
    Complete,
    Hello,
    Message,
    Refused,
    Since,
    Stop,
    Tool,
    completions_frame,
    error_frame,
    gap_frame,
    history_frame,
    parse,
    request_id,
    tool_frame,
    welcome_frame,
)
from chat.rate import TokenBucket
from chat.rooms import Rooms
from chat.runs import Runs
from chat.tools import ToolCalls


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions share."""

    limits: Limits
    rooms: Rooms
    runs: Runs
    tools: ToolCalls
    files: Files


class Session:
    """One client, from its first frame to its last."""

    def __init__(self, connection: Connection, services: Services) -> None:
        self._connection = connection
        self._services = services
        self._limits = services.limits
        self._allowance = TokenBucket(
            per_second=self._limits.frames_per_second, burst=self._limits.burst_frames
        )

    async def serve(self) -> None:
        """Attend to the client until it leaves, or takes nothing any more."""
        with contextlib.suppress(ConnectionError):
            try:
                async with asyncio.timeout(self._limits.hello_seconds):
                    member = await self._greet()
            except TimeoutError:
                await self._connection.close(WSCloseCode.POLICY_VIOLATION, b"no hello in time")
                return
            if member is not None:
                await self._attend(member)

    async def _greet(self) -> "Member | None":
        """Return the client as a member of its room; None if it left before that."""
        while (text := await self._connection.receive()) is not None:
            try:
                return self._member(text)
            except Refused as refused:
                await self._refuse(refused, text)
        return None

    def _member(self, text: str) -> "Member":
        frame = self._admit(text)
        if not isinstance(frame, Hello):
            raise Refused("not_joined", "the first frame must be hello")
        return Member(frame, self._connection, self._services)

    async def _attend(self, member: "Member") -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                await member.begin(tasks)
                while (text := await self._connection.receive()) is not None:
                    try:
                        await member.obey(self._admit(text))
                    except Refused as refused:
                        await self._refuse(refused, text)
                member.end()
        except* (ConnectionError, TimeoutError):
            pass  # it is gone, or it does not read: there is nobody left to tell
        finally:
            self._services.rooms.leave(member.room)

    def _admit(self, text: str) -> ClientFrame:
        if not self._allowance.take():
            most = self._limits.frames_per_second
            raise Refused("rate_limited", f"at most {most:g} frames a second; please wait")
        return parse(text, self._limits)

    async def _refuse(self, refused: Refused, text: str) -> None:
        """Tell the client why; one that is too fast must also wait, so its flood stays outside."""
        await self._connection.send(error_frame(refused, request_id(text)))
        if refused.code == "rate_limited":
            await asyncio.sleep(1 / self._limits.frames_per_second)


class Member:
    """A client in a room; `Refused` is what its frames may be."""

    def __init__(self, hello: Hello, connection: Connection, services: Services) -> None:
        self._hello = hello
        self._connection = connection
        self._services = services
        self._limits = services.limits
        self.room = services.rooms.enter(hello.room)

    async def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Welcome the client, and follow the room from where it left off."""
        hello, room = self._hello, self.room
        await self._connection.send(
            welcome_frame(
                room=room.name,
                sender=hello.sender,
                epoch=room.epoch,
                root=self._services.files.name,
                limits=self._limits,
                run=None if room.run is None else room.run.id,
                members=room.members,
            )
        )
        self._tasks = tasks
        self._counter = tasks.create_task(self._follow_members())
        known = hello.next_seq or 0
        if hello.epoch != room.epoch or known > room.next_seq:
            known = 0  # what the client has comes from another life of this room
        self._writer = tasks.create_task(self._follow(known))

    def end(self) -> None:
        """Follow the room no longer."""
        self._writer.cancel()
        self._counter.cancel()

    async def obey(self, frame: ClientFrame) -> None:
        """
        Do what a frame asks for.

        Raises:
            Refused: it cannot be done, for a reason that the client is told.
        """
        match frame:
            case Hello():
                raise Refused("already_joined", f"this connection is in {self.room.name}")
            case Message():
                self._say(frame)
            case Stop(run):
                if self.room.run is not None and self.room.run.id == run:
                    self.room.run.stop()
            case Complete():
                await self._complete(frame)
            case Tool(tool_use=identifier):
                call = self._services.tools.get(self.room.epoch, identifier)
                await self._connection.send(tool_frame(frame, call))
            case Since(next_seq):
                await self._refill(next_seq)

    def _say(self, message: Message) -> None:
        """What the agent cannot be asked now is not said either; the client may try again."""
        sender = self._hello.sender
        said = (sender, message.id, message.text)
        if message.id and self.room.has_heard(*said):
            return
        runs = self._services.runs
        place = runs.take_place(self.room) if message.agent else None
        self.room.remember(*said)
        self.room.add(
            "message",
            sender=sender,
            text=message.text,
            id=message.id,
            agent=message.agent,
        )
        if place is not None:
            runs.start(self.room, sender, message.text, place)

    async def _complete(self, request: Complete) -> None:
        found = await self._services.files.complete(request.query, request.limit)
        await self._connection.send(
            completions_frame(request, found.results, files=found.files, truncated=found.truncated)
        )

    async def _refill(self, next_seq: int) -> None:
        """Begin anew at `next_seq`, when what is on its way now has gone out."""
        if next_seq > self.room.next_seq:
            rule = f"next_seq must be at most {self.room.next_seq} here"
            raise Refused("bad_field", f"{rule}, got {next_seq}")
        async with self._connection.pause():
            self._writer.cancel()
            await asyncio.wait({self._writer})
        self._writer = self._tasks.create_task(self._follow(next_seq))

    async def _follow(self, next_seq: int) -> None:
        """Send what there is from `next_seq` on, and then what comes, each gap in its place."""
        send = self._connection.send
        past, subscription = self.room.listen(next_seq)
        await send(history_frame(past.items, missed=past.missed, next_seq=past.next_seq))
        while True:
            batch = await subscription.receive_many(
                max_items=self._limits.max_batch_items, max_bytes=self._limits.max_batch_bytes
            )
            if batch.missed:
                await send(gap_frame(batch.missed))
            for frame in batch.items:
                await send(frame)

    async def _follow_members(self) -> None:
        async for batch in self.room.listen_for_members():
            await self._connection.send(batch.items[-1])
