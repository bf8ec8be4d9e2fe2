"""The page of the chat server in a real browser, against the real server with real files."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

playwright_api = pytest.importorskip("playwright.async_api", reason="Playwright is not installed")
expect = playwright_api.expect
expect.set_options(timeout=10_000)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on the PATH"),
]

REPOSITORY = Path(__file__).parents[3]
ARTIFACTS = REPOSITORY / "artifacts" / "chat-page"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LARGE = "x" * 16_000  # some thirty of these are all that the server's history keeps
READY_SECONDS = 20.0
WATCH_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
    });
"""

PATIENCE = """
    const hurried = window.setTimeout.bind(window);
    window.setTimeout = (action, delay, ...rest) =>
      hurried(action, delay >= 200 ? delay * 100 : delay, ...rest);
"""  # the page does not try again by itself, so that a test can be sure to have done it

Page = Any
Visit = Callable[..., Awaitable[Page]]
Frame = dict[str, Any]
Tamper = Callable[[Frame], Sequence[Frame]]

_rooms = itertools.count(1)


class Server:
    """The chat server in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def start(self, *arguments: str) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat", "--port", "0", "--root", str(self.root), *arguments),
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "examples")},
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            address = (await self._process.stdout.readline()).decode().split(" ")[0]
        assert address.startswith("http://"), "the server ended instead of serving"
        self.port = int(address.rstrip("/").rpartition(":")[2])

    async def has_indexed(self, files: int) -> None:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            while True:
                async with session.get(self.url + "healthz") as answer:
                    if (await answer.json())["files"] == files:
                        return
                await asyncio.sleep(0.02)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()


class Line:
    """
    The network between a browser and the server: it can be cut, and it can clog.

    Chromium's own offline mode leaves an open websocket alone, so the cable is really cut: while
    it is, connections end with a reset, the open ones and every new one.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._listener: asyncio.Server | None = None
        self._transports: set[asyncio.WriteTransport] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self.was_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.cut()
        if self._listener is not None:
            self._listener.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self._is_cut = self.was_cut = True
        self._flows.set()
        for transport in self._transports:
            transport.abort()

    def mend(self) -> None:
        self._is_cut = False

    def clog(self) -> None:
        """From now on nothing comes from the server, and the server feels it."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await self._dial()
        except ConnectionError:
            writer.transport.abort()
            return
        self._transports |= {writer.transport, far_writer.transport}
        for source, target, gate in (
            (reader, far_writer, None),
            (far_reader, writer, self._flows),
        ):
            task = asyncio.create_task(self._pump(source, target, gate))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """With a small buffer, so that a clogged line is felt soon."""
        near = socket.socket()
        try:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            near.setblocking(False)  # noqa: FBT003  # the form of the standard library
            await asyncio.get_running_loop().sock_connect(near, ("127.0.0.1", self._server.port))
            return await asyncio.open_connection(sock=near, limit=16_384)
        except ConnectionError:
            near.close()
            raise

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        gate: asyncio.Event | None,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                data = await source.read(16_384)
                if not data:
                    break
                if gate is not None:
                    await gate.wait()
                target.write(data)
                await target.drain()
        target.close()
        self._transports.discard(target.transport)


async def say(server: Server, room: str, texts: Sequence[str], *, sender: str = "Grace") -> None:
    """Be another person who joins the room, says something, and hears the last of it come back."""
    origin = server.url.rstrip("/")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(server.url + "ws", origin=origin, max_msg_size=0) as line,
    ):
        await line.send_json(
            {"type": "hello", "room": room, "sender": sender, "epoch": None, "next_seq": None}
        )
        for text in texts:
            await line.send_json({"type": "message", "text": text, "agent": False, "id": text[:40]})
        async with asyncio.timeout(READY_SECONDS):
            while True:
                frame = await line.receive_json()
                assert frame["type"] != "error", frame
                if frame["type"] == "item" and frame["item"].get("text") == texts[-1]:
                    return


def write_files(root: Path) -> None:
    files = {
        "README.md": "# A small project\n\nIt is here to be searched.\n",
        "src/app.py": "def main():\n    return 42  # TODO: ask for the question\n",
        "src/engine.py": "".join(f"STEP_{n} = {n}  # TODO: tune step {n}\n" for n in range(90)),
        "src/settings.py": "VERBOSE = False\n",
        "docs/\U0001f4ce-plan.md": "A clip stands before the name.\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    root = tmp_path_factory.mktemp("chat") / "project"
    write_files(root)
    server = Server(root)
    await server.start()
    await server.has_indexed(5)
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def slow_server(server: Server) -> AsyncIterator[Server]:
    slow = Server(server.root)
    await slow.start("--agent", f"{sys.executable} -m chat.demo_agent --fault slow")
    yield slow
    await slow.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Any]:
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def line(server: Server) -> AsyncIterator[Line]:
    line = Line(server)
    await line.open()
    yield line
    await line.close()


@pytest.fixture
def room() -> str:
    return f"room-{next(_rooms)}"


class Watch:
    """
    What went wrong on the pages of one test.

    Every page must be without an error on its console and without a violation of the content
    security policy; only the browser's own word about a line that the test has cut is no error.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._pages: list[Page] = []

    def over(self, page: Page, line: Line | None = None) -> None:
        def heard(message: Any) -> None:
            cut = line is not None and line.was_cut and "net::ERR_" in message.text
            if message.type in {"error", "warning"} and not cut:
                self.problems.append(f"{message.type}: {message.text}")

        page.on("console", heard)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self._pages.append(page)

    async def ends(self) -> None:
        for page in self._pages:
            if not page.is_closed():
                self.problems += await page.evaluate("window.violations.splice(0)")
        problems, self.problems[:] = self.problems[:], []
        assert problems == []


def tampered(route: Any, tamper: Tamper) -> None:
    """Stand between the page and the server, with a hand on every frame of the server."""
    server = route.connect_to_server()

    def pass_on(message: str) -> None:
        for frame in tamper(json.loads(message)):
            route.send(json.dumps(frame))

    server.on_message(pass_on)


async def open_page(
    browser: Any,
    watch: Watch,
    url: str,
    *,
    line: Line | None = None,
    name: str | None = "Ada",
    patient: bool = False,
    clock: bool = False,
    tamper: Tamper | None = None,
    **options: Any,
) -> Page:
    """
    Open the page as a person with a browser of their own.

    Args:
        browser: what opens it.
        watch: who hears what goes wrong on it.
        url: where the page is.
        line: what the page comes through, if that is not straight from the server.
        name: what the person is called; None is somebody who was never here.
        patient: whether the page waits for the test before it tries to connect again.
        clock: whether the test may turn the page's clock forward.
        tamper: gets each frame of the server, and returns the frames that the page gets instead.
        options: what else is special about this browser.
    """
    size = {"width": 1100, "height": 800}
    context = await browser.new_context(**{"viewport": size, "color_scheme": "light"} | options)
    context.set_default_timeout(10_000)
    await context.add_init_script(WATCH_VIOLATIONS + PATIENCE * patient)
    if name is not None:
        await context.add_init_script(f"localStorage.setItem('chat.name', '{name}')")
    page = await context.new_page()
    if clock:
        await page.clock.install()
    if tamper is not None:
        await page.route_web_socket("**/ws", lambda route: tampered(route, tamper))
    watch.over(page, line)
    await page.goto(url)
    if name is not None:
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    return page


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Any, server: Server) -> AsyncIterator[Visit]:
    """Open the page in a room, with whatever is special about it."""
    watch = Watch()
    contexts: list[Any] = []

    async def visit(
        room: str, *, at: Server = server, via: Line | None = None, **options: Any
    ) -> Page:
        url = f"{(via or at).url}#room={room}"
        page = await open_page(browser, watch, url, line=via, **options)
        contexts.append(page.context)
        return page

    yield visit
    await watch.ends()
    for context in contexts:
        await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched_page(browser: Any, server: Server) -> tuple[Page, Watch]:
    watch = Watch()
    return await open_page(browser, watch, server.url), watch


@pytest_asyncio.fixture(loop_scope="module")
async def page(watched_page: tuple[Page, Watch], room: str) -> AsyncIterator[Page]:
    """One page for all tests that need no other: it moves on to a fresh room."""
    page, watch = watched_page
    await page.evaluate(f"location.hash = 'room={room}'")
    await expect(page.get_by_role("heading", name=f"#{room} yet")).to_be_visible()
    await box(page).fill("")
    yield page
    await watch.ends()


async def write(page: Page, text: str, *, to: str = "People only") -> None:
    await page.get_by_role("radio", name=to).check()
    await box(page).fill(text)
    await box(page).press("Enter")


def box(page: Page) -> Any:
    """Where one writes."""
    return page.get_by_role("textbox", name="Message")


def messages(page: Page) -> Any:
    """What has been said, without what still waits to be sent."""
    return page.get_by_role("log").locator(".message .prose")


async def shoot(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png")


async def test_a_visitor_is_asked_for_a_name_once(visit: Visit, room: str) -> None:
    page = await visit(room, name=None)
    dialog = page.get_by_role("dialog", name="Join the conversation")
    await expect(dialog.get_by_label("Your name")).to_be_focused()
    await shoot(page, "join")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_visible()
    await page.keyboard.type("Ada Lovelace")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name=f"Room {room}")).to_be_visible()
    await expect(page.get_by_text("1 here")).to_be_visible()
    await expect(page).to_have_title(f"{room} · Chat")
    await shoot(page, "empty")

    await page.reload()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="You are Ada Lovelace")).to_be_visible()


async def test_a_name_that_the_server_would_refuse_is_refused_in_the_dialog(
    visit: Visit, room: str
) -> None:
    page = await visit(room, name=None)
    name = page.get_by_label("Your name")
    await name.fill("x" * 41)
    await name.press("Enter")
    assert await name.evaluate("node => node.validationMessage") == (
        "A name has at most 40 characters."
    )
    await page.get_by_label("Room", exact=True).fill("two words")
    await name.fill("Ada")
    await name.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.get_by_label("Room", exact=True).fill(f"{room}.Ü_1")
    await page.get_by_role("button", name="Join").click()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()


async def test_a_message_for_people_is_said_once_and_no_agent_answers(page: Page) -> None:
    await write(page, "Only for **people**, with `code` and <b>markup</b>")
    await expect(messages(page)).to_have_text(["Only for people, with code and <b>markup</b>"])
    await expect(messages(page).locator("strong")).to_have_text("people")
    await expect(messages(page).locator("code")).to_have_text("code")
    await expect(page.locator("#pending > *")).to_have_count(0)
    await expect(page.get_by_role("article", name="Run of the agent")).to_have_count(0)
    await expect(box(page)).to_have_value("")


async def test_shift_enter_makes_a_line_and_the_textarea_grows(page: Page) -> None:
    text = box(page)
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    await page.get_by_role("radio", name="People only").check()
    low = (await text.bounding_box())["height"]
    await text.press_sequentially("one")
    await text.press("Shift+Enter")
    await text.press_sequentially("two")
    assert (await text.bounding_box())["height"] > low
    await text.press("Enter")
    await expect(messages(page)).to_have_text(["one\ntwo"])
    assert (await text.bounding_box())["height"] == low


async def test_a_message_above_the_servers_limit_cannot_be_sent(page: Page) -> None:
    send = page.get_by_role("button", name="Send")
    await box(page).fill("ü" * 8_192)
    await expect(page.get_by_text("16,384 of 16,384 bytes")).to_be_visible()
    await expect(send).to_be_enabled()
    await box(page).press("End")
    await box(page).press("!")
    await expect(page.get_by_text("Too long by 1 B")).to_be_visible()
    await expect(page.get_by_text("16,385 of 16,384 bytes")).to_contain_class("is-over")
    await expect(send).to_be_disabled()
    await box(page).press("Enter")
    await expect(page.locator("#pending > *")).to_have_count(0)
    await expect(messages(page)).to_have_count(0)


async def test_the_agent_searches_the_real_files(page: Page) -> None:
    await write(page, "search TODO in src", to="Ask the agent")
    run = page.get_by_role("article", name="Run of the agent")
    await expect(run.get_by_text("for Ada")).to_be_visible()
    await expect(run.get_by_text("Finished after")).to_be_visible()
    await expect(run.get_by_role("button", name="Stop")).to_be_hidden()
    await expect(run.locator(".prose").last).to_contain_text("Found 91 lines with TODO in 2 files")

    card = run.get_by_role("group")
    await expect(card.locator(".tool-name")).to_have_text("search")
    await expect(card.locator(".tool-input")).to_contain_text("TODO · path: src")
    await card.locator("summary").press("Enter")
    result = card.get_by_role("region", name="Result")
    await expect(result).to_contain_text("src/app.py:2: return 42  # TODO: ask for the question")
    await expect(result.locator(".place").first).to_have_text("src/app.py:2")
    await expect(result).not_to_contain_text("tune step 89")
    await shoot(page, "tool-preview")

    await card.get_by_role("button", name="Show all").press("Enter")
    await expect(result).to_contain_text("src/engine.py:90: STEP_89 = 89  # TODO: tune step 89")
    await expect(result).to_be_focused()
    await expect(card.get_by_role("button", name="Show all")).to_have_count(0)
    await shoot(page, "tool-full")


async def test_a_tool_that_fails_shows_its_error(page: Page) -> None:
    await write(page, "read ../secret.txt", to="Ask the agent")
    card = page.get_by_role("article", name="Run of the agent").get_by_role("group")
    await expect(card.locator(".tool-status")).to_contain_text("failed")
    await expect(card.get_by_role("region", name="Result")).to_be_visible()


async def test_a_tool_output_that_the_server_has_let_go_of_is_told(visit: Visit, room: str) -> None:
    def let_go(frame: Frame) -> list[Frame]:
        gone = {"found": False, "name": None, "input": None, "output": None}
        return [frame | gone if frame["type"] == "tool" else frame]

    page = await visit(room, tamper=let_go)
    await write(page, "search TODO in src", to="Ask the agent")
    card = page.get_by_role("article", name="Run of the agent").get_by_role("group")
    await card.locator("summary").click()
    await card.get_by_role("button", name="Show all").click()
    await expect(card.get_by_text("no longer kept by the server")).to_be_visible()
    await expect(card.get_by_role("button", name="Show all")).to_have_count(0)
    await expect(card.get_by_role("region", name="Result")).to_contain_text("src/app.py:2")


async def test_a_file_is_completed_by_keyboard(page: Page) -> None:
    text = box(page)
    await text.press_sequentially("look at @plan")
    option = page.get_by_role("option", name="docs/\U0001f4ce-plan.md")
    await expect(option).to_have_attribute("aria-selected", "true")
    await expect(option.locator("mark")).to_have_text(["plan"])
    active = await text.get_attribute("aria-activedescendant")
    assert active == await option.get_attribute("id")
    await shoot(page, "completion")
    await text.press("Enter")
    await expect(text).to_have_value("look at docs/\U0001f4ce-plan.md ")
    await expect(page.get_by_role("listbox")).to_be_hidden()
    await expect(text).to_be_focused()

    await text.press_sequentially("and (@py")
    options = page.get_by_role("option")
    await expect(options).to_have_count(3)
    first = await options.nth(0).get_attribute("aria-label")
    await text.press("ArrowDown")
    await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    await text.press("ArrowUp")
    await text.press("Tab")
    await expect(text).to_have_value(f"look at docs/\U0001f4ce-plan.md and ({first} ")
    await text.press("Control+z")
    await expect(text).to_have_value("look at docs/\U0001f4ce-plan.md and (@py")


async def test_a_file_is_completed_by_mouse(page: Page) -> None:
    text = box(page)
    await text.press_sequentially("@py")
    options = page.get_by_role("option")
    await expect(options).to_have_count(3)
    chosen = await options.nth(2).get_attribute("aria-label")
    await options.nth(2).hover()
    await expect(options.nth(2)).to_have_attribute("aria-selected", "true")
    await options.nth(2).click()
    await expect(text).to_have_value(f"{chosen} ")
    await expect(text).to_be_focused()


async def test_completion_says_when_nothing_matches_and_escape_closes_it(page: Page) -> None:
    text = box(page)
    await text.press_sequentially("mail@example")
    await text.press_sequentially(" @qqq")
    await expect(page.get_by_text("No file matches “qqq”")).to_be_visible()
    await expect(page.get_by_text("5 files indexed")).to_be_visible()
    await text.press("Escape")
    await expect(page.get_by_text("No file matches")).to_be_hidden()
    await page.get_by_role("radio", name="People only").check()
    await text.press("Enter")
    await expect(messages(page)).to_have_text(["mail@example @qqq"])


async def test_a_late_answer_never_replaces_a_newer_list(visit: Visit, room: str) -> None:
    held: list[Frame] = []
    asked = asyncio.Event()

    def late(frame: Frame) -> list[Frame]:
        if frame["type"] != "completions":
            return [frame]
        if frame["query"] == "plan":
            held.append(frame)
            asked.set()
            return []
        return [{**frame, "truncated": True}, *held]

    page = await visit(room, tamper=late)
    text = box(page)
    await text.press_sequentially("@plan")
    await asked.wait()
    await text.fill("@sett")
    await expect(page.get_by_role("option")).to_have_text(["settings.pysrc/"])
    await expect(page.get_by_text("the index is truncated, some files are missing")).to_be_visible()


async def test_what_the_server_refuses_stays_with_its_reason(visit: Visit, room: str) -> None:
    def busy(frame: Frame) -> list[Frame]:
        said = frame.get("item", {})
        if said.get("kind") != "message" or said["text"] != "refused":
            return [frame]
        words = "the agent is at work in this room"
        return [{"type": "error", "code": "agent_busy", "message": words, "id": said["id"]}]

    page = await visit(room, tamper=busy)
    await write(page, "refused")
    pending = page.locator("#pending > *")
    await expect(pending.get_by_text("The agent is at work in this room.")).to_be_visible()
    await write(page, "accepted")
    await expect(messages(page)).to_have_text(["accepted"])
    await expect(pending).to_have_count(1)
    await pending.get_by_role("button", name="Discard").click()
    await expect(pending).to_have_count(0)


async def test_an_error_of_the_server_is_a_quiet_note(visit: Visit, room: str) -> None:
    def grumble(frame: Frame) -> list[Frame]:
        if frame["type"] != "welcome":
            return [frame]
        words = ("one", "two", "three", "four", "four")
        errors = [{"type": "error", "code": "x", "message": word, "id": None} for word in words]
        return [frame, *errors]

    page = await visit(room, tamper=grumble)
    notes = page.locator(".toast")
    await expect(notes).to_have_text(["Two.", "Three.", "Four."])
    await notes.first.get_by_role("button", name="Close").click()
    await expect(notes).to_have_text(["Three.", "Four."])


async def test_a_reload_brings_the_history_back(page: Page) -> None:
    await write(page, "list src", to="Ask the agent")
    await expect(page.get_by_text("Finished after")).to_be_visible()
    await write(page, "before the reload")
    await expect(messages(page)).to_have_count(2)
    await page.reload()
    await expect(messages(page)).to_have_text(["list src", "before the reload"])
    await expect(page.locator(".group.own")).to_have_count(2)
    await expect(page.get_by_text("Finished after")).to_be_visible()
    await expect(page.get_by_label("People only")).to_be_checked()


async def test_two_pages_see_each_other_live(page: Page, visit: Visit, room: str) -> None:
    ada = page
    grace = await visit(room, name="Grace")
    await expect(ada.get_by_text("2 here")).to_be_visible()
    await write(ada, "Good morning")
    await expect(messages(grace)).to_have_text(["Good morning"])
    article = grace.get_by_role("log").get_by_role("article", name="Ada")
    await expect(article.get_by_text("Ada", exact=True)).to_be_visible()
    await write(grace, "Good evening")
    await expect(messages(ada)).to_have_text(["Good morning", "Good evening"])
    await grace.close()
    await expect(ada.get_by_text("1 here")).to_be_visible()


async def test_the_fragment_is_the_room(page: Page, room: str) -> None:
    await write(page, "said in the first room")
    await expect(messages(page)).to_have_count(1)
    await page.get_by_role("button", name=f"Room {room}").click()
    await page.get_by_label("Room", exact=True).fill(f"{room}-b")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("button", name=f"Room {room}-b")).to_be_visible()
    await expect(messages(page)).to_have_count(0)
    await page.go_back()
    await expect(messages(page)).to_have_text(["said in the first room"])


async def test_a_cut_line_is_told_and_what_was_missed_comes_back(
    visit: Visit, room: str, server: Server, line: Line
) -> None:
    page = await visit(room, via=line, patient=True)
    await write(page, "before the cut")
    await expect(messages(page)).to_have_count(1)
    line.cut()
    banner = page.get_by_role("region", name="Connection")
    await expect(banner.get_by_text("Offline.")).to_be_visible()
    await expect(page.get_by_text("Live", exact=True)).to_be_hidden()
    await say(server, room, ["said while you were away", "and this too"])
    await write(page, "written offline")
    await write(page, "and again")
    await expect(page.get_by_text("Waits for the connection")).to_have_count(2)
    await expect(banner.get_by_text("2 messages wait to be sent.")).to_be_visible()
    await expect(page.get_by_text("kept here (2 of 20)")).to_be_visible()
    await expect(banner.get_by_text("Next try in")).to_be_visible()
    await shoot(page, "offline")

    line.mend()
    await banner.get_by_role("button", name="Retry now").click()
    await expect(banner).to_be_hidden()
    await expect(messages(page)).to_have_text(
        [
            *("before the cut", "said while you were away", "and this too"),
            *("written offline", "and again"),
        ]
    )
    await expect(page.locator("#pending > *")).to_have_count(0)
    await expect(page.get_by_text("gone")).to_have_count(0)


async def test_the_outbox_is_bounded_and_says_so(visit: Visit, room: str, line: Line) -> None:
    page = await visit(room, via=line, patient=True)
    line.cut()
    await expect(page.get_by_text("Offline.")).to_be_visible()
    for number in range(20):
        await write(page, f"number {number}")
    await box(page).fill("one too many")
    await expect(page.get_by_text("20 messages wait already; the outbox is full")).to_be_visible()
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    line.mend()
    await page.get_by_role("button", name="Retry now").click()
    await expect(messages(page)).to_have_text([f"number {number}" for number in range(20)])
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()


async def test_more_missed_than_the_history_keeps_is_a_line_with_the_number(
    visit: Visit, room: str, server: Server, line: Line
) -> None:
    page = await visit(room, via=line)
    await write(page, "before the cut")
    await expect(messages(page)).to_have_count(1)
    line.cut()
    await expect(page.get_by_text("Offline.")).to_be_visible()
    await say(server, room, [f"{number} {LARGE}" for number in range(50)])
    line.mend()  # and the page tries by itself
    await expect(messages(page).last).to_contain_text("49 x")
    shown = await messages(page).count() - 1
    gone = page.get_by_text(f"{50 - shown} messages are gone")
    assert 1 <= shown < 50
    await expect(gone).to_be_attached()
    await expect(page.get_by_text("no longer kept")).to_be_attached()
    await expect(page.get_by_role("button", name="Load")).to_have_count(0)
    await gone.scroll_into_view_if_needed()
    await shoot(page, "gone")


async def test_a_page_too_slow_for_the_room_gets_a_gap_and_can_load_what_is_left(
    visit: Visit, room: str, server: Server, line: Line
) -> None:
    page = await visit(room, via=line)
    await write(page, "before")
    await expect(messages(page)).to_have_count(1)
    line.clog()
    for start in (0, 40):  # so many at once are not yet too many for one person
        await say(server, room, [f"{start + n} {LARGE}" for n in range(40)])
    line.flow()
    await expect(messages(page).last).to_contain_text("79 x")
    before = await messages(page).count()
    load = page.get_by_role("button", name="Load")
    await expect(load).to_have_count(1)
    await expect(page.get_by_text("the server may still have them")).to_be_attached()
    await load.scroll_into_view_if_needed()
    await shoot(page, "gap")
    await load.click()
    await expect(load).to_have_count(0)
    await expect(page.get_by_text("no longer kept")).to_be_attached()
    after = await messages(page).count()
    assert before < after
    await expect(page.get_by_text(f"{81 - after} messages are gone")).to_be_attached()


async def test_a_line_that_is_silently_dead_is_noticed(visit: Visit, room: str, line: Line) -> None:
    page = await visit(room, via=line, clock=True)
    line.clog()
    await write(page, "into the void")
    await page.clock.fast_forward(7_000)  # no echo: the page asks the server
    await expect(page.get_by_text("Sending…")).to_be_visible()
    await page.clock.fast_forward(9_000)  # no answer: the line is dead
    await expect(page.get_by_text("Offline.")).to_be_visible()
    line.flow()
    await page.get_by_role("button", name="Retry now").click()
    await expect(messages(page)).to_have_text(["into the void"])
    await expect(page.locator("#pending > *")).to_have_count(0)


async def test_a_dead_line_is_noticed_though_nobody_speaks(
    visit: Visit, room: str, line: Line
) -> None:
    page = await visit(room, via=line, clock=True)
    line.clog()
    await page.clock.fast_forward(26_000)  # silence: the page asks the server
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await page.clock.fast_forward(9_000)  # no answer: the line is dead
    await expect(page.get_by_text("Offline.")).to_be_visible()
    line.flow()
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()


async def test_stop_ends_a_run_soon(slow_server: Server, visit: Visit, room: str) -> None:
    page = await visit(room, at=slow_server)
    await write(page, "take your time", to="Ask the agent")
    run = page.get_by_role("article", name="Run of the agent")
    await expect(run.get_by_text("still at work, 0 s")).to_be_visible()
    await expect(page.get_by_text("The agent is busy")).to_be_visible()
    await expect(run.locator(".run-elapsed")).to_have_text(re.compile("[1-9] s"))
    await shoot(page, "running")
    await run.get_by_role("button", name="Stop").click()
    await expect(run.get_by_text("Stopped after")).to_be_visible()
    await expect(run.get_by_role("button", name="Stop")).to_be_hidden()
    await expect(page.get_by_text("Enter sends")).to_be_visible()


async def test_a_server_that_starts_anew_is_told_and_nothing_is_sent_twice(
    visit: Visit, room: str, server: Server
) -> None:
    mortal = Server(server.root)
    await mortal.start()
    line = Line(mortal)
    await line.open()
    try:
        page = await visit(room, via=line, patient=True)
        await write(page, "of the old life")
        await expect(messages(page)).to_have_count(1)
        await mortal.stop(signal.SIGKILL)
        await expect(page.get_by_text("Offline.")).to_be_visible()
        await write(page, "for the new life")
        await mortal.start()
        await page.get_by_role("button", name="Retry now").click()
        await expect(page.get_by_text("The server started this room anew")).to_be_visible()
        await expect(messages(page)).to_have_text(["for the new life"])
    finally:
        await line.close()
        await mortal.stop()


async def test_the_same_numbers_in_another_life_are_other_items(visit: Visit, room: str) -> None:
    page = await visit(room)
    await page.evaluate(
        """async () => {
          const { Transcript } = await import("/static/view/transcript.js");
          const transcript = new Transcript({});
          for (const [life, text] of ["of the old life", "of the new life"].entries()) {
            const items = [{ seq: 0, time: 0, kind: "message", text }];
            const block = { key: "group-0", kind: "group", sender: "P", own: false, items };
            transcript.render([block], { here: [] }, { life, nextSeq: 1, live: true });
          }
        }"""
    )
    await expect(messages(page)).to_have_text(["of the new life"])


async def test_a_reader_of_an_opened_card_is_left_with_it(
    page: Page, room: str, server: Server
) -> None:
    await say(server, room, [f"line {number}" for number in range(20)])
    await write(page, "search TODO in src", to="Ask the agent")
    summary = page.get_by_role("article", name="Run of the agent").locator("summary")
    await expect(page.get_by_text("Finished after")).to_be_in_viewport()
    await summary.click()
    await expect(page.get_by_role("button", name="To the newest")).to_be_visible()
    await say(server, room, ["news"])
    await expect(page.get_by_role("button", name="1 new message")).to_be_visible()
    await expect(summary).to_be_in_viewport()


async def test_a_reader_further_up_is_not_moved_but_told_of_what_is_new(
    page: Page, room: str, server: Server
) -> None:
    await say(server, room, [f"line {number}\n\nand more" for number in range(30)])
    await expect(messages(page).last).to_be_in_viewport()
    pane = page.get_by_role("main")
    await pane.focus()
    await page.keyboard.press("Home")
    await expect(messages(page).first).to_be_in_viewport()
    await say(server, room, ["news", "more news"])
    pill = page.get_by_role("button", name="2 new messages")
    await expect(pill).to_be_visible()
    await expect(messages(page).first).to_be_in_viewport()
    await pill.click()
    await expect(messages(page).last).to_be_in_viewport()
    await expect(pill).to_be_hidden()


async def test_the_page_holds_only_the_newest_items(page: Page, room: str, server: Server) -> None:
    texts = [f"small {number}" for number in range(55)]
    await asyncio.gather(*(say(server, room, texts, sender=f"P{n}") for n in range(10)))
    await expect(page.get_by_text("50 older messages were taken off this page")).to_be_attached()
    await expect(messages(page)).to_have_count(500)


async def test_the_theme_is_switched_and_remembered(visit: Visit, room: str) -> None:
    page = await visit(room, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(background)
    await page.get_by_role("button", name="Theme: system").click()
    await expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    light = await page.evaluate(background)
    assert light != dark
    await page.reload()
    await expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert await page.evaluate(background) == light
    await page.get_by_role("button", name="Theme: light").click()
    await page.emulate_media(color_scheme="light")
    assert await page.evaluate(background) == dark
    await page.get_by_role("button", name="Theme: dark").click()
    assert await page.evaluate(background) == light


async def test_every_text_is_readable_and_nothing_overflows(
    visit: Visit, room: str, server: Server
) -> None:
    room += "-" + "n" * 50
    page = await visit(room, reduced_motion="reduce")
    await say(server, room, ["Has anybody seen `src/app.py`?", "w" * 300])
    await write(page, "search TODO in src then read nowhere.txt", to="Ask the agent")
    run = page.get_by_role("article", name="Run of the agent")
    await expect(run.get_by_text("Finished after")).to_be_visible()
    await run.locator("summary").first.click()
    await write(page, "a list:\n\n- one\n- two\n\n```\n" + "code " * 60 + "\n```")
    await expect(messages(page)).to_have_count(4)
    for width, scheme in itertools.product((1100, 360), ("light", "dark")):
        await page.set_viewport_size({"width": width, "height": 800})
        await page.emulate_media(color_scheme=scheme)
        await box(page).fill("")
        await shoot(page, f"transcript-{scheme}-{width}")
        assert await page.evaluate(UNREADABLE) == []
        await box(page).press_sequentially("@py")
        await expect(page.get_by_role("option")).to_have_count(3)
        await shoot(page, f"completion-{scheme}-{width}")
        assert await page.evaluate(UNREADABLE) == []
        assert await page.evaluate(OVERLAPPING) == []
        for scroller in ("document.scrollingElement", "document.querySelector('main')"):
            assert await page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0


OVERLAPPING = """() => {
  const parts = [...document.querySelector("header").children].filter((part) => {
    return part.checkVisibility() && part.className !== "bar-space";
  });
  return parts
    .filter((part, n) => {
      const before = n === 0 ? 0 : parts[n - 1].getBoundingClientRect().right;
      return part.getBoundingClientRect().left < before;
    })
    .map((part) => part.id);
}"""
UNREADABLE = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const layers = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (channels) => {
    const [r, g, b] = channels.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const unreadable = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === "" || !node.checkVisibility()) continue;
    const { color, clipPath } = getComputedStyle(node);
    if (clipPath !== "none" || node.closest("noscript, option")) continue;
    const behind = [];
    for (let place = node; place !== null; place = place.parentElement) {
      behind.unshift(getComputedStyle(place).backgroundColor);
    }
    const back = luminance(layers(["#fff", ...behind]));
    const front = luminance(layers(["#fff", ...behind, color]));
    const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    if (ratio < 4.5) unreadable.add(`${node.className || node.tagName} ${ratio.toFixed(2)}`);
  }
  return [...unreadable];
}"""


async def test_the_store_never_loses_count_of_an_item(page: Page) -> None:
    """Any frames in any order: what is not held is missing, and nothing outgrows its bound."""
    assert (
        await page.evaluate(
            """async () => {
              const { Store } = await import("/static/store.js");
              const { layout } = await import("/static/layout.js");
              let state = 20_24;
              const random = (below) => {
                state = (state * 48_271) % 2_147_483_647;
                return state % below;
              };
              const kinds = ["message", "text", "tool_use", "tool_result", "run", "notice"];
              const item = (seq) => {
                const kind = kinds[seq % kinds.length];
                const run = `r${Math.floor(seq / 40)}`;
                const own = { message: { sender: "P", text: "t", id: `${seq}` }, notice: {} };
                const state = seq % 40 < 6 ? "started" : "finished";
                const other = { run, tool_use: `t${seq >> 1}`, state, text: "x".repeat(seq % 50) };
                return { seq, time: seq, kind, ...(own[kind] ?? other) };
              };
              const range = (from, to) =>
                Array.from({ length: Math.max(0, to - from) }, (_, n) => item(from + n));
              const wrong = [];
              for (let round = 0; round < 60; round += 1) {
                const store = new Store({ maxItems: 30, maxChars: 9_000 });
                store.welcome({ epoch: "e", run: null });
                let next = random(50);
                let first = 0;
                let floor = 0;
                store.history({ items: range(first, next), missed: first, next_seq: next });
                for (let step = 0; step < 80; step += 1) {
                  const choice = random(5);
                  if (choice === 0) {
                    const missed = 1 + random(6);
                    store.gap(missed);
                    next += missed;
                  }
                  if (choice <= 1) {
                    store.item(item(next));
                    next += 1;
                  }
                  if (choice === 2) {
                    first = Math.max(first, next - 20 - random(60));
                    const asked = store.firstLoadable() ?? store.nextSeq;
                    const from = Math.max(random(2) ? asked : store.floor - random(9), first);
                    const missed = Math.max(0, from - asked);
                    store.history({ items: range(from, next), missed, next_seq: next });
                    if (store.firstLoadable() !== null) wrong.push("a hole stayed loadable");
                  }
                  if (choice === 3) next += random(3);
                  if (choice === 4) store.item(item(random(next + 1)));
                  next = Math.max(next, store.nextSeq);
                  if (store.floor < floor) wrong.push("what was let go of came back");
                  floor = store.floor;
                  const seqs = store.items.map(({ seq }) => seq);
                  const missing = store.holes().reduce((sum, { from, to }) => sum + to - from, 0);
                  if (store.nextSeq - store.floor !== seqs.length + missing) wrong.push("count");
                  if (seqs.some((seq, n) => n > 0 && seq <= seqs[n - 1])) wrong.push("order");
                  if (seqs.length > 30 || store.chars > 9_000) wrong.push("bound");
                  const runs = new Set(store.items.map(({ run }) => run).filter(Boolean));
                  if (store.running !== null) runs.add(store.running);
                  if ([...store.runs.keys()].some((run) => !runs.has(run))) wrong.push("runs");
                  const blocks = layout(store, () => false);
                  const keys = blocks.flatMap((block) => [block, ...(block.parts ?? [])]);
                  if (new Set(keys.map(({ key }) => key)).size !== keys.length) wrong.push("keys");
                  const gone = keys.filter(({ kind }) => kind === "gap");
                  const told = gone.reduce((sum, gap) => sum + gap.missing, 0);
                  if (told !== missing) wrong.push("a gap is not told");
                }
              }
              return wrong;
            }"""
        )
        == []
    )


async def test_the_outbox_sends_again_only_what_cannot_have_been_said(page: Page) -> None:
    assert await page.evaluate(
        """async () => {
          const { Outbox } = await import("/static/outbox.js");
          const fate = ({ broke, asked, goneBelow, said }) => {
            const outbox = new Outbox({ maxMessages: 2, maxBytes: 100 });
            outbox.add({ id: "a", text: "a", agent: false, time: 0 });
            outbox.add({ id: "b", text: "b", agent: false, time: 0 });
            outbox.sent(outbox.next(), 7);
            const alone = outbox.next() === undefined;
            if (broke) outbox.lineBroke();
            if (asked) outbox.asked();
            if (said) outbox.confirm("a");
            outbox.settle(goneBelow);
            return alone ? outbox.entries.map(({ id, state }) => `${id} ${state}`).join() : "two";
          };
          return [
            fate({ goneBelow: 0 }),
            fate({ said: true, broke: true, goneBelow: 0 }),
            fate({ broke: true, goneBelow: 7 }),
            fate({ broke: true, goneBelow: 8 }),
            fate({ asked: true, goneBelow: 0 }),
            fate({ asked: true, goneBelow: 8 }),
          ];
        }"""
    ) == [
        "a sent,b queued",
        "b queued",
        "a queued,b queued",
        "a failed,b queued",
        "a failed,b queued",
        "a failed,b queued",
    ]


async def test_waiting_between_tries_grows_to_a_limit_with_jitter(page: Page) -> None:
    delays = await page.evaluate(
        """async () => {
          const { retryDelay } = await import("/static/connection.js");
          return [0, 1, 6, 1_000].map((n) => [retryDelay(n, 0), retryDelay(n, 1)]);
        }"""
    )
    assert delays == [[250, 500], [500, 1_000], [15_000, 30_000], [15_000, 30_000]]


@pytest.mark.parametrize(
    ("text", "caret", "query"),
    [
        ("@", 1, ""),
        ("see @src/a", 10, "src/a"),
        ("see @src/a", 7, "sr"),
        ("(@app", 5, "app"),
        ("mail@host", 9, None),
        ("@done ", 6, None),
        ("two\n@x", 6, "x"),
        ("@" + "ü" * 128, 129, "ü" * 128),
        ("@" + "ü" * 129, 130, None),
    ],
)
async def test_a_mention_is_an_at_sign_where_a_word_begins(
    watched_page: tuple[Page, Watch], text: str, caret: int, query: str | None
) -> None:
    mention = await watched_page[0].evaluate(
        """async ([text, caret]) => {
          const { mentionAt } = await import("/static/mention.js");
          return mentionAt(text, caret)?.query ?? null;
        }""",
        [text, caret],
    )
    assert mention == query


async def test_every_module_is_announced_so_that_they_load_at_once() -> None:
    folder = REPOSITORY / "examples" / "chat" / "page"
    page = (folder / "index.html").read_text()
    for module in folder.rglob("*.js"):
        assert f'"static/{module.relative_to(folder).as_posix()}"' in page


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\nb\n\nc", "<p>a\nb</p><p>c</p>"),
        (
            "`a < b` & **b `c`**",
            "<p><code>a &lt; b</code> &amp; <strong>b <code>c</code></strong></p>",
        ),
        ("2 ** 3 and ``a`b`` and `open", "<p>2 ** 3 and <code>a`b</code> and `open</p>"),
        (
            "# Head\n- one\n  more\n* two\n3. three",
            "<p>Head</p><ul><li>one\nmore</li><li>two</li></ul><ol><li>three</li></ol>",
        ),
        ("```py\n<b>\n\n- x\n```\nafter", "<pre><code>&lt;b&gt;\n\n- x</code></pre><p>after</p>"),
        ("~~~\nnever closed", "<pre><code>never closed</code></pre>"),
        ("<img src=x onerror=alert(1)>", "<p>&lt;img src=x onerror=alert(1)&gt;</p>"),
    ],
)
async def test_light_markdown_becomes_nodes_and_everything_else_stays_text(
    watched_page: tuple[Page, Watch], text: str, html: str
) -> None:
    built = await watched_page[0].evaluate(
        """async (text) => {
          const { markdown } = await import("/static/view/markdown.js");
          return markdown(text).innerHTML.replace(/ (class|tabindex|start)="[^"]*"/g, "");
        }""",
        text,
    )
    assert built == html
