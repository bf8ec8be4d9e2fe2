/** A run of the agent: who asked, how it goes, what it says, which tools it calls, and Stop. */

import { arrange, h, icon, setText } from "../lib/dom.js";
import { formatDuration, formatElapsed, formatClock, formatMoment } from "../lib/text.js";
import { GapLine } from "./lines.js";
import { markdown } from "./markdown.js";
import { ToolCall } from "./toolcall.js";

const ENDS = {
  finished: { icon: "check", words: "Finished" },
  stopped: { icon: "stop", words: "Stopped" },
  failed: { icon: "alert", words: "Failed" },
  timed_out: { icon: "alert", words: "Took too long and was ended" },
  unknown: { icon: "dots", words: "Ended; how is not known here" },
};

class TextPart {
  /** @param {import("../layout.js").TextPart} part */
  constructor(part) {
    const { kind, text = "", level } = part.item;
    this.node =
      kind === "notice"
        ? h("p", { class: `aside ${level === "warning" ? "is-warning" : ""}` }, text)
        : markdown(text);
  }

  update() {}

  discard() {}
}

function pulse() {
  return h("span", { class: "pulse", "aria-hidden": "true" });
}

export class RunView {
  /** @type {Map<string, any>} */
  #parts = new Map();
  #context;
  /** @type {import("../layout.js").RunBlock|null} */
  #block = null;
  #stopping = false;

  /**
   * @param {import("../layout.js").RunBlock} block
   * @param {import("./transcript.js").Context} context
   */
  constructor(block, context) {
    this.#context = context;
    const id = block.run.id;
    this.asked = h("span", { class: "run-asked" });
    this.time = h("time", { class: "time" });
    this.elapsed = h("span", { class: "run-elapsed" });
    this.stop = h(
      "button",
      { type: "button", class: "stop", onclick: () => this.#stop(id) },
      icon("stop"),
      h("span", {}, "Stop"),
    );
    this.head = h(
      "header",
      { class: "run-head" },
      h("span", { class: "run-mark", "aria-hidden": "true" }, icon("agent")),
      h("span", { class: "run-name" }, "Agent"),
      this.asked,
      this.time,
      // Seconds that pass are nothing to read out.
      h("span", { class: "run-live", "aria-live": "off" }, pulse(), this.elapsed, this.stop),
    );
    this.body = h("div", { class: "run-body" });
    this.foot = h("footer", { class: "run-foot" });
    this.node = h("article", { class: "run", "aria-label": "Run of the agent" });
    this.node.append(this.head, this.body, this.foot);
  }

  /** @param {import("../layout.js").RunBlock} block */
  update(block) {
    const before = this.#block?.state;
    this.#block = block;
    const { run, state, parts } = block;
    setText(this.asked, run.sender === null ? "" : `for ${run.sender}`);
    if (run.startedAt !== null) {
      setText(this.time, formatClock(run.startedAt));
      this.time.setAttribute("datetime", new Date(run.startedAt * 1000).toISOString());
      this.time.title = formatMoment(run.startedAt);
    }
    this.node.dataset.state = state;
    this.#fill(parts, state);
    if (before !== state) this.#foot(state, run.end);
    this.tick(Date.now());
  }

  /** @param {number} now in milliseconds */
  tick(now) {
    if (this.#block?.state !== "running") return;
    const { startedAt } = this.#block.run;
    setText(this.elapsed, startedAt === null ? "" : formatElapsed(now - startedAt * 1000));
    this.stop.disabled = this.#stopping || !this.#context.isLive();
  }

  discard() {
    for (const part of this.#parts.values()) part.discard();
  }

  /**
   * @param {import("../layout.js").RunBlock["parts"]} parts
   * @param {string} state
   */
  #fill(parts, state) {
    const views = new Map();
    for (const part of parts) {
      const view = this.#parts.get(part.key) ?? this.#make(part);
      view.update(part, { state });
      views.set(part.key, view);
    }
    for (const [key, view] of this.#parts) if (!views.has(key)) view.discard();
    this.#parts = views;
    arrange(this.body, Array.from(views.values(), (view) => view.node));
  }

  /** @param {any} part */
  #make(part) {
    if (part.kind === "text") return new TextPart(part);
    return part.kind === "tool" ? new ToolCall(this.#context) : new GapLine(part, this.#context);
  }

  /**
   * @param {string} state
   * @param {import("../store.js").Item|null} end
   */
  #foot(state, end) {
    this.foot.hidden = state === "running";
    if (!(state in ENDS)) return;
    const { icon: name, words } = ENDS[/** @type {keyof typeof ENDS} */ (state)];
    const after = end?.duration_ms === undefined ? "" : ` after ${formatDuration(end.duration_ms)}`;
    const why = end?.error ? `: ${end.error}` : "";
    this.foot.replaceChildren(icon(name), h("span", {}, `${words}${after}${why}`));
  }

  /** @param {string} id */
  #stop(id) {
    this.#stopping = this.#context.stopRun(id);
    this.tick(Date.now());
  }
}
