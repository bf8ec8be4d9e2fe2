/** Where the user writes: a textarea that grows, a switch for the audience, and Send. */

import { byId, setText } from "../lib/dom.js";
import { recall, remember } from "../lib/identity.js";
import { byteLength, formatBytes, formatNumber } from "../lib/text.js";
import { Completion } from "./completion.js";

const MAX_HEIGHT_PX = 240;
const NEAR_THE_LIMIT = 0.8;

/**
 * What the page knows about sending at the moment.
 *
 * @typedef {object} SendState
 * @property {"idle"|"connecting"|"live"|"waiting"} phase of the connection
 * @property {number} maxBytes the server's limit for a message
 * @property {number} waiting how many messages wait already
 * @property {number} maxWaiting
 * @property {(bytes: number) => boolean} hasRoomFor
 * @property {boolean} agentBusy
 */

export class Composer {
  #say;
  #form = byId("composer");
  #text = /** @type {HTMLTextAreaElement} */ (byId("text"));
  #send = byId("send");
  #hint = byId("composer-hint");
  #counter = byId("counter");
  /** @type {SendState|null} */
  #state = null;

  /**
   * @param {object} wishes
   * @param {(text: string, agent: boolean) => boolean} wishes.say
   * @param {(question: object) => boolean} wishes.complete
   */
  constructor({ say, complete }) {
    this.#say = say;
    this.completion = new Completion(this.#text, complete);
    this.#form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("keydown", (event) => this.#key(event));
    this.#text.addEventListener("input", () => this.refresh());
    this.#rememberAudience();
  }

  get #agent() {
    return byId("ask-agent").checked;
  }

  /** The text without empty lines around it; the indentation of its first line stays. */
  get #words() {
    return this.#text.value.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
  }

  focus() {
    this.#text.focus();
  }

  /**
   * Put a text into an empty composer, as a proposal.
   *
   * @param {string} text
   */
  propose(text) {
    this.#text.value = text;
    byId("ask-agent").checked = true;
    this.refresh();
    this.focus();
  }

  /** @param {SendState} [state] */
  refresh(state = this.#state ?? undefined) {
    if (state === undefined) return;
    this.#state = state;
    this.#grow();
    const bytes = byteLength(this.#words);
    const near = bytes > state.maxBytes * NEAR_THE_LIMIT;
    const over = bytes > state.maxBytes;
    this.#counter.hidden = !near;
    this.#counter.classList.toggle("is-over", over);
    if (near) {
      setText(this.#counter, `${formatNumber(bytes)} of ${formatNumber(state.maxBytes)} bytes`);
    }
    const obstacle = this.#obstacle(bytes, state);
    this.#send.disabled = obstacle !== null;
    this.#send.title = obstacle ?? "Send (Enter)";
    const hint = bytes === 0 ? null : obstacle;
    this.#hint.classList.toggle("is-obstacle", hint !== null);
    setText(this.#hint, hint ?? this.#advice(state));
    const placeholder = this.#agent ? "Ask the agent about the files" : "Write to the people here";
    this.#text.placeholder = placeholder;
  }

  /**
   * @param {number} bytes
   * @param {SendState} state
   * @returns {string|null} why the text cannot be sent
   */
  #obstacle(bytes, state) {
    if (bytes === 0) return "There is nothing to send yet";
    if (bytes > state.maxBytes) {
      return `Too long by ${formatBytes(bytes - state.maxBytes)}; a message may have ${formatBytes(state.maxBytes)}`;
    }
    if (!state.hasRoomFor(bytes)) {
      return `${formatNumber(state.waiting)} messages wait already; the outbox is full`;
    }
    return null;
  }

  /** @param {SendState} state */
  #advice(state) {
    if (state.phase === "idle") return "";
    if (state.phase === "connecting" && state.waiting === 0) return "Connecting…";
    if (state.phase !== "live") {
      const waiting = `${formatNumber(state.waiting)} of ${formatNumber(state.maxWaiting)}`;
      return `Offline: what you write is kept here (${waiting}) and sent when the page is back`;
    }
    if (this.#agent && state.agentBusy) return "The agent is busy; it takes one question at a time";
    return "Enter sends, Shift+Enter makes a new line, @ finds a file";
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (this.completion.key(event)) {
      event.preventDefault();
      return;
    }
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const text = this.#words;
    if (this.#send.disabled || text === "" || !this.#say(text, this.#agent)) return;
    this.#text.value = "";
    this.completion.close();
    this.refresh();
    this.focus();
  }

  #grow() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, MAX_HEIGHT_PX)}px`;
  }

  #rememberAudience() {
    const people = byId("people-only");
    people.checked = recall("audience") === "people";
    byId("ask-agent").checked = !people.checked;
    const audience = byId("audience");
    audience.addEventListener("change", () => {
      remember("audience", people.checked ? "people" : "agent");
      this.refresh();
    });
    // A mouse goes back to the text; somebody who moves by keyboard is not thrown around.
    audience.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      if (event.detail > 0) this.focus();
    });
  }
}
