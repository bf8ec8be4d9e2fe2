/**
 * What the page knows of its room: pure state, no document and no socket.
 *
 * The server numbers a room's items densely from 0, so the store never has to believe in a report
 * of loss: whatever lies in [start, nextSeq) and is not held is missing, and the lines that say so
 * are derived from the numbers themselves. Frames may come twice, late or in any order.
 *
 * Bounded by items and by characters, oldest first, like the history on the server: a page that is
 * left open for a week costs what it cost in the first hour.
 */

/**
 * @typedef {object} Item
 * @property {number} seq
 * @property {number} time
 * @property {"message"|"run"|"text"|"tool_use"|"tool_result"|"notice"} kind
 * @property {string} [id]
 * @property {string} [sender]
 * @property {string} [text]
 * @property {boolean} [agent]
 * @property {string} [run]
 * @property {string} [state]
 * @property {number} [duration_ms]
 * @property {string|null} [error]
 * @property {string} [tool_use]
 * @property {string} [name]
 * @property {string} [input]
 * @property {string} [output]
 * @property {boolean} [truncated]
 * @property {number} [bytes]
 * @property {boolean} [is_error]
 * @property {string} [level]
 */

/**
 * @typedef {object} Run
 * @property {string} id
 * @property {string|null} sender who asked; null when its start is not known here
 * @property {number|null} startedAt unix seconds
 * @property {Item|null} end
 * @property {number} held items of it that the store holds
 */

const ITEM_OVERHEAD_CHARS = 200;

/** @param {Item} item */
function costOf(item) {
  let chars = ITEM_OVERHEAD_CHARS;
  for (const text of [item.text, item.input, item.output, item.error]) chars += text?.length ?? 0;
  return chars;
}

export class Store {
  /** @param {{maxItems?: number, maxChars?: number}} [limits] */
  constructor({ maxItems = 500, maxChars = 4_000_000 } = {}) {
    this.maxItems = maxItems;
    this.maxChars = maxChars;
    /** How often everything was forgotten: the same numbers mean other items then. */
    this.life = 0;
    this.clear();
  }

  /** Forget everything, as for another room. */
  clear() {
    this.life += 1;
    /** @type {string|null} */
    this.epoch = null;
    /** @type {Item[]} ordered by seq, each seq once */
    this.items = [];
    /** @type {number} what they cost */
    this.chars = 0;
    /** @type {number|null} the first number that this page answers for */
    this.start = null;
    /** @type {number} what the next item will have */
    this.nextSeq = 0;
    /** @type {number} below it the page itself let go, to keep its bounds */
    this.floor = 0;
    /** @type {number} below it the server holds nothing more: what is missing there is gone */
    this.goneBelow = 0;
    /** @type {Map<string, Run>} the runs that have an item here, and the running one */
    this.runs = new Map();
    /** @type {string|null} */
    this.running = null;
    /** @type {number} the newest item that speaks of a run */
    this.runningSeq = -1;
    /** @type {boolean} whether the room began a new life while this page watched */
    this.restarted = false;
    /** @type {string|null|undefined} the word of `welcome`; undefined when none is waiting */
    this.announcedRun = undefined;
  }

  /** What a returning client says in `hello`. */
  get position() {
    const known = this.epoch !== null && this.start !== null;
    return { epoch: known ? this.epoch : null, next_seq: known ? this.nextSeq : null };
  }

  /**
   * @param {{epoch: string, run: string|null}} frame
   */
  welcome(frame) {
    if (this.epoch !== null && this.epoch !== frame.epoch) {
      this.clear();
      this.restarted = true;
    }
    this.epoch = frame.epoch;
    this.announcedRun = frame.run;
  }

  /**
   * The tail of the room, or the answer to `since`.
   *
   * @param {{items: Item[], missed: number, next_seq: number}} frame
   */
  history(frame) {
    const first = frame.items.length > 0 ? frame.items[0].seq : frame.next_seq;
    if (this.start === null) {
      this.start = first - frame.missed;
      this.floor = this.start;
      this.nextSeq = this.start;
    }
    if (frame.missed > 0) this.goneBelow = Math.max(this.goneBelow, first);
    for (const item of frame.items) this.#insert(item);
    this.nextSeq = Math.max(this.nextSeq, frame.next_seq);
    if (this.announcedRun !== undefined) {
      this.#announce(this.announcedRun);
      this.announcedRun = undefined;
    }
    this.#trim();
  }

  /** @param {Item} item a live one */
  item(item) {
    if (this.start === null) {
      this.start = item.seq;
      this.floor = item.seq;
    }
    this.#insert(item);
    this.#trim();
  }

  /** @param {number} missed how many items the server dropped just before the next one */
  gap(missed) {
    if (this.start !== null) this.nextSeq += missed;
  }

  /** The first number that is missing and that the server may still have, or null. */
  firstLoadable() {
    for (const hole of this.holes()) if (hole.loadable) return hole.from;
    return null;
  }

  /**
   * What is missing, in order.
   *
   * @returns {{from: number, to: number, loadable: boolean}[]}
   */
  holes() {
    if (this.start === null) return [];
    const holes = [];
    let expected = this.floor;
    for (const { seq } of [...this.items, { seq: this.nextSeq }]) {
      if (seq > expected) holes.push({ from: expected, to: seq, loadable: seq > this.goneBelow });
      expected = seq + 1;
    }
    return holes;
  }

  /**
   * @param {Run} run
   * @returns {string} running, finished, stopped, failed, timed_out, or unknown: its end was missed
   */
  stateOf(run) {
    if (run.end !== null) return run.end.state ?? "finished";
    return run.id === this.running ? "running" : "unknown";
  }

  /** @param {Item} item */
  #insert(item) {
    if (item.seq < this.floor) return;
    let place = this.items.length;
    while (place > 0 && this.items[place - 1].seq > item.seq) place -= 1;
    if (place > 0 && this.items[place - 1].seq === item.seq) return;
    this.items.splice(place, 0, item);
    this.chars += costOf(item);
    this.nextSeq = Math.max(this.nextSeq, item.seq + 1);
    if (item.run !== undefined) this.#note(item, item.run);
  }

  /**
   * @param {Item} item
   * @param {string} id
   */
  #note(item, id) {
    const run = this.#run(id);
    run.held += 1;
    if (item.kind === "run" && item.state !== "started") {
      run.end = item;
      if (this.running === id) this.running = null;
      return;
    }
    if (item.kind === "run") {
      run.sender = item.sender ?? null;
      run.startedAt = item.time;
    }
    // A room has one run at a time, so the newest sign of life says which one it is.
    if (item.seq > this.runningSeq && run.end === null) this.#setRunning(id, item.seq);
  }

  /** @param {string|null} id what the server says is running now */
  #announce(id) {
    if (id !== null && this.#run(id).end === null) this.#setRunning(id, this.nextSeq - 1);
    else this.#setRunning(null, this.nextSeq - 1);
  }

  /**
   * @param {string|null} id
   * @param {number} seq
   */
  #setRunning(id, seq) {
    const before = this.running;
    this.running = id;
    this.runningSeq = Math.max(this.runningSeq, seq);
    if (before !== null && before !== id) this.#forgetIfEmpty(before);
  }

  /** @param {string} id */
  #run(id) {
    let run = this.runs.get(id);
    if (run === undefined) {
      run = { id, sender: null, startedAt: null, end: null, held: 0 };
      this.runs.set(id, run);
    }
    return run;
  }

  /** @param {string} id */
  #forgetIfEmpty(id) {
    if (this.runs.get(id)?.held === 0 && this.running !== id) this.runs.delete(id);
  }

  #trim() {
    let count = 0;
    while (
      this.items.length - count > this.maxItems ||
      (this.chars > this.maxChars && this.items.length - count > 1)
    ) {
      const item = this.items[count];
      count += 1;
      this.chars -= costOf(item);
      this.floor = item.seq + 1;
      const run = item.run === undefined ? undefined : this.runs.get(item.run);
      if (run === undefined) continue;
      run.held -= 1;
      this.#forgetIfEmpty(run.id);
    }
    this.items.splice(0, count);
  }
}
