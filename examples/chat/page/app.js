/** The page as a whole: frames go to the store, the store goes to the views, wishes go out. */

import { Connection } from "./connection.js";
import { layout } from "./layout.js";
import { setText } from "./lib/dom.js";
import {
  DEFAULT_ROOM,
  isOwnId,
  newMessageId,
  recall,
  remember,
  roomOf,
  visited,
} from "./lib/identity.js";
import { plural, sentence } from "./lib/text.js";
import { Outbox } from "./outbox.js";
import { Store } from "./store.js";
import { Composer } from "./view/composer.js";
import { Header } from "./view/header.js";
import { JoinDialog } from "./view/join.js";
import { toast } from "./view/toasts.js";
import { Transcript } from "./view/transcript.js";

const DEFAULT_MAX_MESSAGE_BYTES = 16_384; // until the server says its own
const MAX_QUESTIONS = 16;
const CONFIRM_MS = 6_000;
const RATE_LIMIT_PAUSE_MS = 1_500;
const TOO_LARGE = 1009;

class App {
  #store = new Store();
  #outbox = new Outbox();
  #room = roomOf(location.hash) ?? DEFAULT_ROOM;
  #name = recall("name");
  #maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES;
  /** Whether this connection's first history is here, so that sending may begin. */
  #ready = false;
  #paused = false;
  #unread = 0;
  #frame = 0;
  #quiet = false;
  #confirmTimer = 0;
  #questions = 0;
  /** @type {Map<number, (answer: any) => void>} questions about tool calls that are open */
  #open = new Map();

  #header = new Header({
    join: () => this.#join.open({ name: this.#name, room: this.#room }),
    retry: () => this.#connection.restart(),
  });

  #join = new JoinDialog((choice) => this.#enter(choice));

  #composer = new Composer({
    say: (text, agent) => this.#say(text, agent),
    complete: (question) => this.#connection.send({ type: "complete", ...question }),
  });

  #transcript = new Transcript({
    fetchTool: (tool, done) => this.#fetchTool(tool, done),
    stopRun: (run) => this.#connection.send({ type: "stop", run }),
    loadMissing: (from) => this.#askFrom(from),
    sendAgain: (id) => {
      this.#outbox.requeue(id);
      this.#pump();
    },
    discardUnsent: (id) => {
      this.#outbox.confirm(id);
      this.#show();
    },
    isLive: () => this.#connection.live,
  });

  #connection = new Connection(new URL("ws", document.baseURI).href.replace(/^http/, "ws"), {
    hello: () => this.#hello(),
    probe: () => this.#since(this.#store.nextSeq),
    frame: (frame) => this.#receive(frame),
    state: () => this.#show(),
    lost: (code) => this.#lost(code),
  });

  start() {
    window.addEventListener("hashchange", () => this.#followFragment());
    document.addEventListener("visibilitychange", () => this.#show());
    window.addEventListener("beforeunload", (event) => {
      if (this.#outbox.entries.length > 0) event.preventDefault(); // it would be lost
    });
    for (const chip of document.querySelectorAll("[data-proposal]")) {
      chip.addEventListener("click", () => this.#composer.propose(chip.textContent ?? ""));
    }
    this.#outbox.room = this.#room;
    if (this.#name === null) this.#join.open({ name: null, room: this.#room });
    else this.#connection.restart();
    this.#show();
    this.#composer.focus();
  }

  // Who and where

  /** @param {{name: string, room: string}} choice */
  #enter({ name, room }) {
    const sameRoom = room === this.#room;
    const sameName = name === this.#name;
    this.#name = name;
    remember("name", name);
    if (!sameRoom) location.hash = room; // the fragment decides; hashchange does the rest
    else if (!sameName || !this.#connection.live) this.#connection.restart();
    this.#show();
    this.#composer.focus();
  }

  #followFragment() {
    const room = roomOf(location.hash) ?? DEFAULT_ROOM;
    if (room === this.#room) return;
    const left = this.#outbox.waiting;
    if (left > 0) {
      const messages = plural(left, "message waits", "messages wait");
      toast(`${messages} until you come back to #${this.#room}`);
    }
    this.#outbox.lineBroke();
    this.#room = room;
    this.#outbox.room = room;
    this.#store.clear();
    this.#transcript.toBottom();
    if (this.#name !== null) this.#connection.restart();
    this.#show();
  }

  #hello() {
    this.#ready = false;
    const { epoch, next_seq } = this.#store.position;
    return { type: "hello", room: this.#room, sender: this.#name, epoch, next_seq };
  }

  // Frames

  /** @param {any} frame */
  #receive(frame) {
    switch (frame.type) {
      case "welcome":
        this.#welcome(frame);
        break;
      case "history":
        this.#history(frame);
        break;
      case "item":
        this.#item(frame.item);
        break;
      case "gap":
        this.#store.gap(frame.missed);
        if (this.#outbox.underWay !== undefined) this.#askForMissing();
        break;
      case "members":
        this.#header.members(frame.members);
        break;
      case "completions":
        this.#composer.completion.answer(frame);
        break;
      case "tool":
        this.#answered(frame.id, frame);
        break;
      case "error":
        this.#error(frame);
        break;
      default: // a newer server may say more than this page understands
    }
    this.#show();
  }

  /** @param {any} frame */
  #welcome(frame) {
    if (this.#store.epoch !== null && this.#store.epoch !== frame.epoch) {
      this.#outbox.roomRestarted();
    }
    this.#store.welcome(frame);
    this.#maxMessageBytes = frame.limits?.max_message_bytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#header.members(frame.members);
    this.#header.root(frame.root);
    visited(this.#room);
  }

  /** @param {any} frame */
  #history(frame) {
    this.#store.history(frame);
    this.#quiet = true;
    for (const item of frame.items) this.#outbox.confirm(item.id);
    this.#outbox.settle(this.#store.goneBelow);
    this.#ready = true;
    this.#pump();
  }

  /** @param {import("./store.js").Item} item */
  #item(item) {
    this.#store.item(item);
    if (item.kind !== "message") return;
    this.#outbox.confirm(item.id);
    if (document.hidden && !isOwnId(item.id ?? "")) this.#unread += 1;
    this.#pump();
  }

  /** @param {{code: string, message: string, id: any}} frame */
  #error({ code, message, id }) {
    const words = sentence(message);
    if (typeof id === "number" && this.#open.has(id)) this.#answered(id, null);
    const unsent = this.#outbox.underWay;
    if (!this.#connection.live && code === "bad_field") {
      this.#refused(words);
    } else if (unsent === undefined || unsent.id !== id) {
      toast(words);
    } else if (code === "rate_limited") {
      this.#outbox.requeue(unsent.id);
      this.#pause();
    } else {
      this.#outbox.fail(unsent.id, words);
      this.#pump();
    }
  }

  /**
   * The server does not take this name or this room, so trying again is of no use.
   *
   * @param {string} message
   */
  #refused(message) {
    this.#connection.stop();
    toast(message);
    this.#join.open({ name: this.#name, room: this.#room });
  }

  /** @param {number} code of the close frame */
  #lost(code) {
    this.#ready = false;
    clearTimeout(this.#confirmTimer);
    this.#header.members(null);
    this.#composer.completion.close();
    const unsent = this.#outbox.underWay;
    if (code === TOO_LARGE && unsent !== undefined) {
      this.#outbox.fail(unsent.id, "The server refused this message as too large.");
    }
    this.#outbox.lineBroke();
    for (const id of [...this.#open.keys()]) this.#answered(id, null);
  }

  // Sending

  /**
   * @param {string} text
   * @param {boolean} agent
   * @returns {boolean} whether the outbox took it
   */
  #say(text, agent) {
    const time = Date.now() / 1000;
    if (!this.#outbox.add({ id: newMessageId(), text, agent, time })) return false;
    this.#transcript.toBottom();
    this.#pump();
    return true;
  }

  /** Send the next message, if it is its turn. */
  #pump() {
    const entry = this.#ready && !this.#paused ? this.#outbox.next() : undefined;
    if (entry !== undefined) {
      const { id, text, agent } = entry;
      if (this.#connection.send({ type: "message", id, text, agent })) {
        this.#outbox.sent(entry, this.#store.nextSeq);
        clearTimeout(this.#confirmTimer);
        this.#confirmTimer = window.setTimeout(() => this.#askAbout(id), CONFIRM_MS);
      }
    }
    this.#show();
  }

  /** @param {string} id of a message that should have come back by now */
  #askAbout(id) {
    if (this.#outbox.underWay?.id !== id || !this.#connection.live) return;
    this.#outbox.asked();
    this.#connection.probe();
  }

  #pause() {
    this.#paused = true;
    setTimeout(() => {
      this.#paused = false;
      this.#pump();
    }, RATE_LIMIT_PAUSE_MS);
  }

  // Questions

  /** @param {number} next_seq */
  #since(next_seq) {
    return { type: "since", next_seq };
  }

  /** @param {number} from */
  #askFrom(from) {
    const asked = this.#connection.send(this.#since(from));
    if (asked) this.#outbox.asked();
    else toast("This can be loaded when the page is connected again.");
    return asked;
  }

  #askForMissing() {
    const from = this.#store.firstLoadable();
    if (from !== null) this.#askFrom(from);
  }

  /**
   * @param {string} tool_use
   * @param {(answer: any) => void} done
   */
  #fetchTool(tool_use, done) {
    this.#questions += 1;
    const id = this.#questions;
    const full = this.#open.size >= MAX_QUESTIONS;
    if (full || !this.#connection.send({ type: "tool", id, tool_use })) done(null);
    else this.#open.set(id, done);
  }

  /**
   * @param {number} id
   * @param {any} answer
   */
  #answered(id, answer) {
    const done = this.#open.get(id);
    this.#open.delete(id);
    done?.(answer);
  }

  // Showing

  /** At most once per picture, however many frames came. */
  #show() {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const store = this.#store;
    const { state, live } = this.#connection;
    const isOwn = (/** @type {any} */ item) => isOwnId(item.id) && item.sender === this.#name;
    const { life, nextSeq } = store;
    const page = { life, nextSeq, quiet: this.#quiet, live: live && this.#ready };
    if (this.#quiet) this.#show(); // the next picture is for a screen reader again
    this.#quiet = false;
    this.#transcript.render(layout(store, isOwn), this.#outbox, page);
    this.#header.identity({ room: this.#room, name: this.#name });
    this.#header.connection(state, this.#outbox.waiting);
    this.#composer.refresh({
      phase: state.phase,
      maxBytes: this.#maxMessageBytes,
      waiting: this.#outbox.waiting,
      maxWaiting: this.#outbox.maxMessages,
      hasRoomFor: (bytes) => this.#outbox.hasRoomFor(bytes),
      agentBusy: store.running !== null,
    });
    if (!document.hidden) this.#unread = 0;
    document.title = `${this.#unread > 0 ? `(${this.#unread}) ` : ""}${this.#room} · Chat`;
    for (const node of document.querySelectorAll("[data-room]")) setText(node, this.#room);
  }
}

new App().start();
