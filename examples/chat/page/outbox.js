/**
 * What the user has said and the room has not yet: bounded, in order, and never sent twice on a
 * guess.
 *
 * One message is under way at a time. It leaves when it comes back as an item of the room, known
 * by its id. If the line breaks before that, the history that the next connection brings decides:
 * the id is in it, then it was said; it is not and nothing is missing, then it is sent again; part
 * of that time is gone, then nobody here can know, and the user is asked.
 *
 * A message belongs to the room it was written in: in another room it waits for the way back.
 */

import { byteLength } from "./lib/text.js";

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} room
 * @property {string} text
 * @property {boolean} agent
 * @property {number} bytes
 * @property {number} time unix seconds
 * @property {"queued"|"sent"|"failed"} state
 * @property {string} reason why it failed
 * @property {number} sentAfter the store's nextSeq when it was sent
 * @property {boolean} lineBroke whether the connection it was sent on is gone
 * @property {boolean} probed whether the server was asked, after it was sent
 */

export class Outbox {
  /** @param {{maxMessages?: number, maxBytes?: number}} [limits] */
  constructor({ maxMessages = 20, maxBytes = 262_144 } = {}) {
    this.maxMessages = maxMessages;
    this.maxBytes = maxBytes;
    /** @type {Entry[]} of all rooms: the bounds are for them together */
    this.entries = [];
    /** The room that the page is in. */
    this.room = "";
  }

  /** What waits in this room. */
  get here() {
    return this.entries.filter((entry) => entry.room === this.room);
  }

  get bytes() {
    return this.entries.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  /** @param {number} bytes of one more message */
  hasRoomFor(bytes) {
    return this.entries.length < this.maxMessages && this.bytes + bytes <= this.maxBytes;
  }

  /** How many of this room wait to be sent or to come back. */
  get waiting() {
    return this.here.filter((entry) => entry.state !== "failed").length;
  }

  /** @returns {Entry|undefined} the message that is under way */
  get underWay() {
    return this.here.find((entry) => entry.state === "sent");
  }

  /**
   * @param {{id: string, text: string, agent: boolean, time: number}} message
   * @returns {boolean} false when the outbox is full; then nothing changed
   */
  add({ id, text, agent, time }) {
    const bytes = byteLength(text);
    if (!this.hasRoomFor(bytes)) return false;
    this.entries.push({
      ...{ id, room: this.room, text, agent, bytes, time },
      ...{ state: "queued", reason: "", sentAfter: 0, lineBroke: false, probed: false },
    });
    return true;
  }

  /** @returns {Entry|undefined} the message whose turn it is; none while one is under way */
  next() {
    if (this.underWay !== undefined) return undefined;
    return this.here.find((entry) => entry.state === "queued");
  }

  /**
   * @param {Entry} entry
   * @param {number} nextSeq the store's, at this moment
   */
  sent(entry, nextSeq) {
    Object.assign(entry, { state: "sent", sentAfter: nextSeq, lineBroke: false, probed: false });
  }

  /**
   * The room has this message.
   *
   * @param {string|undefined} id
   */
  confirm(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
  }

  /**
   * @param {string} id
   * @param {string} reason
   */
  fail(id, reason) {
    const entry = this.entries.find((candidate) => candidate.id === id);
    if (entry !== undefined) Object.assign(entry, { state: "failed", reason });
  }

  /**
   * Send it (again), in its old place.
   *
   * @param {string} id
   */
  requeue(id) {
    const entry = this.entries.find((candidate) => candidate.id === id);
    if (entry !== undefined) Object.assign(entry, { state: "queued", reason: "" });
  }

  /** The room began a new life: whatever was under way belongs to the old one, which is gone. */
  roomRestarted() {
    if (this.underWay !== undefined) this.requeue(this.underWay.id);
  }

  lineBroke() {
    if (this.underWay !== undefined) this.underWay.lineBroke = true;
  }

  /** The server was asked for what this page lacks; its answer will settle what is under way. */
  asked() {
    if (this.underWay !== undefined) this.underWay.probed = true;
  }

  /**
   * Decide about the message under way, after a history frame whose ids have been confirmed.
   *
   * @param {number} goneBelow below it the server holds nothing more
   */
  settle(goneBelow) {
    const entry = this.underWay;
    if (entry === undefined) return;
    if (goneBelow > entry.sentAfter && (entry.lineBroke || entry.probed)) {
      this.fail(entry.id, "It is not known whether this was delivered.");
    } else if (entry.lineBroke) {
      this.requeue(entry.id);
    } else if (entry.probed) {
      this.fail(entry.id, "The server did not take this message.");
    }
  }
}
