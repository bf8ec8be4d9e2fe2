/** A tool call of the agent: one line when closed, its input and result when open. */

import { arrange, h, icon, setText } from "../lib/dom.js";
import { formatBytes, plural } from "../lib/text.js";

const SUMMARY_CHARS = 160;
const MARKED_LINES = 500;
const FULL_OUTPUTS_KEPT = 3;
const PLACE = /^[^\s:][^:]{0,255}:\d{1,9}(?=[:\s-])/; // as a search tells where
const LINE_NUMBER = /^ {0,8}\d{1,9}(?= {2}|\t|→)/; // as a read file has it

/**
 * @typedef {{found: boolean, name: string|null, input: string|null, output: string|null,
 *   is_error: boolean}} ToolAnswer
 * @typedef {(tool: string, done: (answer: ToolAnswer|null) => void) => void} FetchTool `done` gets
 *   null when the question could not be asked or the line broke
 */

/** The few whole outputs that the page holds: the oldest goes back to its preview. */
class FullOutputs {
  /** @type {ToolCall[]} */
  #holders = [];

  /** @param {ToolCall} holder */
  hold(holder) {
    this.drop(holder);
    this.#holders.push(holder);
    if (this.#holders.length > FULL_OUTPUTS_KEPT) this.#holders.shift()?.showPreview();
  }

  /** @param {ToolCall} holder */
  drop(holder) {
    this.#holders = this.#holders.filter((other) => other !== holder);
  }
}

const fullOutputs = new FullOutputs();

export class ToolCall {
  #fetch;
  /** @type {import("../layout.js").ToolPart|null} */
  #part = null;
  /** @type {"preview"|"asking"|"full"|"gone"|"unanswered"} */
  #shown = "preview";
  /** @type {ToolAnswer|null} */
  #full = null;

  /** @param {{fetchTool: FetchTool}} context */
  constructor({ fetchTool }) {
    this.#fetch = fetchTool;
    this.name = h("span", { class: "tool-name" });
    this.input = h("span", { class: "tool-input" });
    this.status = h("span", { class: "tool-status" });
    this.body = h("div", { class: "tool-body" });
    const summary = h("summary", {}, icon("chevron"), this.name, this.input, this.status);
    this.node = h("details", { class: "tool" }, summary, this.body);
  }

  /**
   * @param {import("../layout.js").ToolPart} part
   * @param {{state: string}} context of the run it belongs to
   */
  update(part, { state }) {
    const { use, result } = part;
    const wasKnown = this.#part?.result ?? null;
    const changed = this.#part?.use !== use || wasKnown !== result;
    this.#part = part;
    setText(this.name, use?.name ?? "tool");
    setText(this.input, use === null ? "the call itself is not in this page" : summarise(use));
    setText(this.status, statusOf(result, state));
    this.node.classList.toggle("is-error", result?.is_error === true);
    this.node.classList.toggle("is-open", result === null && state === "running");
    if (result?.is_error === true && wasKnown === null) this.node.open = true;
    if (changed) this.showPreview();
  }

  /** Let go of the whole output. */
  showPreview() {
    this.#shown = "preview";
    this.#full = null;
    this.#fill();
  }

  /** The card leaves the page. */
  discard() {
    fullOutputs.drop(this);
  }

  #fill() {
    const { use, result } = this.#part ?? { use: null, result: null };
    const cutInput = use === null || use.truncated === true;
    const input = cutInput && this.#full !== null ? this.#full.input : use && prettyInput(use);
    const output = this.#full?.output ?? result?.output ?? null;
    arrange(this.body, [
      ...(input === null ? [] : [section("Input", input, false)]),
      ...(output === null ? [] : [section("Result", output, true)]),
      ...this.#footer(use, result),
    ]);
  }

  /**
   * @param {import("../store.js").Item|null} use
   * @param {import("../store.js").Item|null} result
   * @returns {HTMLElement[]}
   */
  #footer(use, result) {
    const cut = use?.truncated === true || result?.truncated === true;
    if (!cut || this.#full !== null) return [];
    const size = result === null ? "" : ` of ${formatBytes(result.bytes ?? 0)}`;
    const notes = {
      preview: `This is the beginning${size}.`,
      asking: "Asking the server…",
      gone: `This is the beginning${size}; the rest is no longer kept by the server.`,
      unanswered: "The server could not be asked. Try again when the page is connected.",
      full: "",
    };
    const button = h("button", { type: "button", class: "quiet", onclick: () => this.#ask() });
    button.append("Show all");
    button.disabled = this.#shown === "asking";
    const words = h("span", { role: "status" }, notes[this.#shown]);
    const footer = h("div", { class: "tool-footer" }, words);
    if (this.#shown !== "gone") footer.append(button);
    return [footer];
  }

  #ask() {
    const id = this.#part?.use?.tool_use ?? this.#part?.result?.tool_use;
    if (id === undefined) return;
    this.#shown = "asking";
    this.#fill();
    this.#fetch(id, (answer) => this.#answered(answer));
  }

  /** @param {ToolAnswer|null} answer */
  #answered(answer) {
    if (answer === null) this.#shown = "unanswered";
    else if (!answer.found) this.#shown = "gone";
    else {
      this.#shown = "full";
      this.#full = answer;
      fullOutputs.hold(this);
    }
    this.#fill();
    const { activeElement } = document;
    const isAwaited = activeElement === document.body || this.node.contains(activeElement);
    if (this.#shown === "full" && isAwaited) this.body.querySelector("pre:last-of-type")?.focus();
  }
}

/**
 * @param {import("../store.js").Item|null} result
 * @param {string} runState
 */
function statusOf(result, runState) {
  if (result === null) return runState === "running" ? "running" : "no result";
  const size = formatBytes(result.bytes ?? 0);
  if (result.is_error === true) return `failed, ${size}`;
  if (result.truncated === true) return size;
  const text = result.output ?? "";
  const lines = text === "" ? 0 : text.replace(/\n$/, "").split("\n").length;
  return lines === 0 ? "empty" : `${plural(lines, "line", "lines")}, ${size}`;
}

/**
 * The input of a call in one line: what it is about, then the other fields with their names.
 *
 * @param {import("../store.js").Item} use
 */
function summarise(use) {
  const input = parsed(use.input);
  let text = use.input ?? "";
  if (input !== null) {
    const [main, ...others] = Object.entries(input).filter(([, value]) => value !== null);
    const rest = others.map(([name, value]) => `${name}: ${brief(value)}`);
    text = main === undefined ? "" : [brief(main[1]), ...rest].join(" · ");
  }
  return text.length > SUMMARY_CHARS ? `${text.slice(0, SUMMARY_CHARS)}…` : text;
}

/** @param {any} value */
function brief(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.replace(/\s+/g, " ");
}

/**
 * What the closed card does not already say: nothing for an input that its one line shows whole.
 *
 * @param {import("../store.js").Item} use
 * @returns {string|null}
 */
function prettyInput(use) {
  const input = parsed(use.input);
  if (input === null) return use.input ?? null;
  const pretty = JSON.stringify(input, null, 2);
  return pretty.length > SUMMARY_CHARS || Object.keys(input).length > 3 ? pretty : null;
}

/**
 * @param {string|undefined} text
 * @returns {Record<string, any>|null}
 */
function parsed(text) {
  try {
    const value = JSON.parse(text ?? "");
    return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null; // cut in the middle, as long inputs are
  }
}

/**
 * @param {string} title
 * @param {string} text
 * @param {boolean} marked whether places and line numbers at the start of a line stand out
 */
function section(title, text, marked) {
  const label = `${title} of the tool call`;
  const pre = h("pre", { tabindex: "0", role: "region", "aria-label": label });
  pre.append(...(marked ? markedLines(text) : [text]));
  return pre;
}

/**
 * @param {string} text
 * @returns {(Node|string)[]}
 */
function markedLines(text) {
  const lines = text.replace(/\n$/, "").split("\n");
  /** @type {(Node|string)[]} */
  const parts = [];
  const marked = lines.slice(0, MARKED_LINES);
  for (const [index, line] of marked.entries()) {
    const end = index < lines.length - 1 ? "\n" : "";
    const place = PLACE.exec(line);
    const mark = (place ?? LINE_NUMBER.exec(line))?.[0];
    if (mark === undefined) {
      parts.push(line + end);
    } else {
      const kind = place === null ? "line-number" : "place";
      parts.push(h("span", { class: kind }, mark), line.slice(mark.length) + end);
    }
  }
  if (lines.length > MARKED_LINES) parts.push(lines.slice(MARKED_LINES).join("\n"));
  return parts;
}
