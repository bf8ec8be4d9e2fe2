/**
 * The conversation on the screen: a view per block, kept as long as its block is there.
 *
 * Scrolling follows the newest item only for a reader who is at the bottom; for everybody else the
 * page stands still and a pill says how much is new.
 */

import { arrange, byId, h, icon, setText } from "../lib/dom.js";
import { formatClock, formatMoment, plural } from "../lib/text.js";
import { avatar } from "./avatar.js";
import { DayLine, DroppedLine, GapLine, NoticeLine, RestartedLine } from "./lines.js";
import { markdown } from "./markdown.js";
import { RunView } from "./run.js";

const AT_BOTTOM_PX = 60;

/**
 * What the views may ask of the application.
 *
 * @typedef {object} Context
 * @property {import("./toolcall.js").FetchTool} fetchTool
 * @property {(run: string) => boolean} stopRun
 * @property {(from: number) => boolean} loadMissing
 * @property {(id: string) => void} sendAgain
 * @property {(id: string) => void} discardUnsent
 * @property {() => boolean} isLive
 */

/** @param {import("../store.js").Item} item */
function messageNode(item) {
  const title = formatMoment(item.time);
  const node = h("div", { class: "message", title }, markdown(item.text ?? ""));
  if (item.agent === true) node.append(askedMark());
  return node;
}

function askedMark() {
  return h("span", { class: "asked" }, icon("agent"), h("span", {}, "to the agent"));
}

class GroupView {
  /** @type {Map<number, HTMLElement>} */
  #messages = new Map();

  /** @param {import("../layout.js").GroupBlock} block */
  constructor(block) {
    const { sender, own } = block;
    this.time = h("time", { class: "time" });
    this.body = h("div", { class: "group-body" });
    const who = h("span", { class: "sender" }, own ? "You" : sender);
    const head = h("header", { class: "group-head" }, who, this.time);
    this.node = h("article", { class: `group ${own ? "own" : ""}` }, head, this.body);
    if (!own) this.node.prepend(avatar(sender));
  }

  /** @param {import("../layout.js").GroupBlock} block */
  update({ items, sender }) {
    const { time } = items[0];
    setText(this.time, formatClock(time));
    this.time.setAttribute("datetime", new Date(time * 1000).toISOString());
    this.time.title = formatMoment(time);
    this.node.setAttribute("aria-label", `${sender}, ${formatClock(time)}`);
    const messages = new Map();
    for (const item of items) {
      messages.set(item.seq, this.#messages.get(item.seq) ?? messageNode(item));
    }
    this.#messages = messages;
    arrange(this.body, [...messages.values()]);
  }

  discard() {}
}

class PendingMessage {
  /**
   * @param {import("../outbox.js").Entry} entry
   * @param {Context} context
   */
  constructor(entry, context) {
    this.words = h("span", {});
    const again = h("button", { type: "button", class: "quiet" }, "Send again");
    again.addEventListener("click", () => context.sendAgain(entry.id));
    const discard = h("button", { type: "button", class: "quiet" }, "Discard");
    discard.addEventListener("click", () => context.discardUnsent(entry.id));
    this.choices = h("span", { class: "choices" }, again, discard);
    this.status = h("div", { class: "pending-status" }, icon("clock"), this.words, this.choices);
    const message = h("div", { class: "message" }, markdown(entry.text));
    if (entry.agent) message.append(askedMark());
    const body = h("div", { class: "group-body" }, message, this.status);
    this.node = h("article", { class: "group own pending" }, body);
  }

  /**
   * @param {import("../outbox.js").Entry} entry
   * @param {boolean} live
   */
  update(entry, live) {
    const failed = entry.state === "failed";
    this.node.classList.toggle("is-failed", failed);
    this.choices.hidden = !failed;
    if (failed) setText(this.words, entry.reason);
    else if (entry.state === "sent" && live) setText(this.words, "Sending…");
    else setText(this.words, live ? "Next in line" : "Waits for the connection");
  }
}

export class Transcript {
  #context;
  #pane = byId("pane");
  #log = byId("log");
  #pendingBox = byId("pending");
  #pill = byId("pill");
  #empty = byId("empty");
  /** @type {Map<string, any>} */
  #views = new Map();
  /** @type {Map<string, PendingMessage>} */
  #pending = new Map();
  #following = true;
  /** Whether this picture's change of size is the page's doing, and not the reader's. */
  #rendered = false;
  #life = 0;
  #seen = 0;
  #nextSeq = 0;

  /** @param {Context} context */
  constructor(context) {
    this.#context = context;
    this.#pane.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#pill.addEventListener("click", () => this.toBottom());
    const sizes = new ResizeObserver((entries) => this.#resized(entries));
    sizes.observe(this.#pane);
    sizes.observe(this.#log);
    setInterval(() => this.tick(), 1000);
  }

  /**
   * @param {import("../layout.js").Block[]} blocks
   * @param {import("../outbox.js").Outbox} outbox
   * @param {object} page
   * @param {number} page.life of the store: in another one, the same keys are other blocks
   * @param {number} page.nextSeq
   * @param {boolean} page.quiet what comes is history, which a screen reader should not read out
   * @param {boolean} page.live
   */
  render(blocks, outbox, { life, nextSeq, quiet, live }) {
    if (life !== this.#life) this.#forget();
    this.#life = life;
    this.#log.setAttribute("aria-busy", String(quiet));
    const views = new Map();
    for (const block of blocks) {
      const view = this.#views.get(block.key) ?? this.#make(block);
      view.update(block);
      views.set(block.key, view);
    }
    for (const [key, view] of this.#views) if (!views.has(key)) view.discard();
    this.#views = views;
    arrange(this.#log, Array.from(views.values(), (view) => view.node));
    this.#renderPending(outbox, live);
    this.#empty.hidden = !live || blocks.length > 0 || this.#pending.size > 0;
    this.#count(nextSeq);
    this.#follow();
    this.#rendered = true;
    requestAnimationFrame(() => {
      this.#rendered = false;
    });
  }

  /** Show the newest item and follow from there. */
  toBottom() {
    this.#following = true;
    this.#follow();
    this.#count(this.#nextSeq);
  }

  /** Times that go on without a frame. */
  tick() {
    const now = Date.now();
    for (const view of this.#views.values()) if (view instanceof RunView) view.tick(now);
  }

  #forget() {
    for (const view of this.#views.values()) view.discard();
    this.#views = new Map();
    this.#seen = 0;
  }

  /** @param {any} block */
  #make(block) {
    switch (block.kind) {
      case "run":
        return new RunView(block, this.#context);
      case "gap":
        return new GapLine(block, this.#context);
      case "group":
        return new GroupView(block);
      case "day":
        return new DayLine(block);
      case "notice":
        return new NoticeLine(block);
      case "dropped":
        return new DroppedLine();
      default:
        return new RestartedLine();
    }
  }

  /**
   * @param {import("../outbox.js").Outbox} outbox
   * @param {boolean} live
   */
  #renderPending(outbox, live) {
    const pending = new Map();
    for (const entry of outbox.here) {
      const view = this.#pending.get(entry.id) ?? new PendingMessage(entry, this.#context);
      view.update(entry, live);
      pending.set(entry.id, view);
    }
    this.#pending = pending;
    arrange(this.#pendingBox, Array.from(pending.values(), (view) => view.node));
  }

  /** @param {number} nextSeq */
  #count(nextSeq) {
    if (this.#following || nextSeq < this.#seen) this.#seen = nextSeq;
    const fresh = nextSeq - this.#seen;
    this.#pill.hidden = this.#following;
    setText(
      byId("pill-words"),
      fresh > 0 ? plural(fresh, "new message", "new messages") : "To the newest",
    );
    this.#nextSeq = nextSeq;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#pane;
    this.#following = scrollHeight - scrollTop - clientHeight < AT_BOTTOM_PX;
    this.#count(this.#nextSeq);
  }

  /**
   * The window changed, or something came: follow. The reader opened a card: stay with it.
   *
   * @param {ResizeObserverEntry[]} entries
   */
  #resized(entries) {
    if (this.#rendered || entries.some(({ target }) => target === this.#pane)) this.#follow();
    else this.#scrolled();
  }

  #follow() {
    if (this.#following) this.#pane.scrollTop = this.#pane.scrollHeight;
  }
}
