/**
 * One websocket that is kept alive: connect, say hello, notice a dead line, wait, try again.
 *
 * Waiting grows exponentially with jitter, so that a restarted server is not met by all its pages
 * in the same second. A network can die without a word, so silence is answered with a probe, and a
 * probe without an answer ends the socket.
 */

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
const WELCOME_TIMEOUT_MS = 10_000;
const SILENCE_MS = 25_000;
const ANSWER_TIMEOUT_MS = 8_000;
const STABLE_MS = 5_000;
const MAX_BUFFERED_BYTES = 1_048_576;

/**
 * @typedef {{phase: "idle"} | {phase: "connecting"} | {phase: "live"} |
 *   {phase: "waiting", retryAt: number}} ConnectionState `retryAt` in the time of Date.now()
 *
 * @typedef {object} Handlers
 * @property {() => object} hello the first frame
 * @property {() => object} probe a frame that the server answers
 * @property {(frame: any) => void} frame
 * @property {(state: ConnectionState) => void} state
 * @property {(code: number) => void} lost the websocket close code; 1006 when there was none
 */

/**
 * How long to wait before try number `attempt`, counted from 0: the upper half of an
 * exponentially growing span, at random.
 *
 * @param {number} attempt
 * @param {number} random in [0, 1)
 */
export function retryDelay(attempt, random) {
  const span = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 16));
  return span / 2 + (span / 2) * random;
}

export class Connection {
  #url;
  #on;
  /** @type {WebSocket|null} */
  #socket = null;
  /** @type {ConnectionState} */
  #state = { phase: "idle" };
  #attempt = 0;
  #liveSince = 0;
  /** The one timer of the present phase: welcome, silence, answer or retry. */
  #timer = 0;

  /**
   * @param {string} url
   * @param {Handlers} handlers
   */
  constructor(url, handlers) {
    this.#url = url;
    this.#on = handlers;
    window.addEventListener("offline", () => this.#lose(1006));
    window.addEventListener("online", () => this.#retryIfWaiting());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#retryIfWaiting();
    });
  }

  get state() {
    return this.#state;
  }

  get live() {
    return this.#state.phase === "live";
  }

  /** Connect now, whatever was before: the first time, for another room, or on "retry now". */
  restart() {
    this.#drop();
    this.#connect();
  }

  /** Leave, and do not try again. */
  stop() {
    this.#drop();
    this.#enter({ phase: "idle" });
  }

  /**
   * @param {object} frame
   * @returns {boolean} whether it was handed to a live socket
   */
  send(frame) {
    if (!this.live || this.#socket === null) return false;
    if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Ask for a sign of life now; without one the line counts as dead. */
  probe() {
    if (this.send(this.#on.probe())) this.#arm(ANSWER_TIMEOUT_MS, () => this.#lose(1006));
  }

  #connect() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#enter({ phase: "connecting" });
    this.#arm(WELCOME_TIMEOUT_MS, () => this.#lose(1006));
    socket.addEventListener("open", () => {
      if (socket === this.#socket) socket.send(JSON.stringify(this.#on.hello()));
    });
    socket.addEventListener("message", (event) => {
      if (socket === this.#socket) this.#receive(event.data);
    });
    socket.addEventListener("close", (event) => {
      if (socket === this.#socket) this.#lose(event.code);
    });
  }

  /** @param {unknown} data */
  #receive(data) {
    const frame = parse(data);
    if (frame === null) return;
    if (frame.type === "welcome") {
      this.#liveSince = Date.now();
      this.#enter({ phase: "live" });
    }
    if (this.live) this.#arm(SILENCE_MS, () => this.probe());
    this.#on.frame(frame);
  }

  /** @param {number} code */
  #lose(code) {
    const { phase } = this.#state;
    if (phase !== "connecting" && phase !== "live") return;
    if (phase === "live" && Date.now() - this.#liveSince >= STABLE_MS) this.#attempt = 0;
    this.#drop();
    const delay = retryDelay(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#on.lost(code);
    this.#enter({ phase: "waiting", retryAt: Date.now() + delay });
    this.#arm(delay, () => this.#connect());
  }

  #retryIfWaiting() {
    if (this.#state.phase === "waiting") this.restart();
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** @param {ConnectionState} state */
  #enter(state) {
    this.#state = state;
    this.#on.state(state);
  }

  /**
   * @param {number} milliseconds
   * @param {() => void} action
   */
  #arm(milliseconds, action) {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(action, milliseconds);
  }
}

/**
 * @param {unknown} data
 * @returns {any} a frame, or null for anything that is not one
 */
function parse(data) {
  if (typeof data !== "string") return null;
  let frame;
  try {
    frame = JSON.parse(data);
  } catch {
    return null;
  }
  return frame !== null && typeof frame === "object" && typeof frame.type === "string"
    ? frame
    : null;
}
