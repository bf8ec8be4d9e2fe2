/** The lines between the blocks of a transcript: a day, a notice, and everything that is missing. */

import { h, icon, setText } from "../lib/dom.js";
import { formatDay, plural } from "../lib/text.js";

/** "n messages are gone", with a button as long as the server may still have them. */
export class GapLine {
  /** @type {import("../layout.js").GapBlock|null} */
  #gap = null;

  /**
   * @param {import("../layout.js").GapBlock} _gap
   * @param {{loadMissing: (from: number) => boolean}} context
   */
  constructor(_gap, { loadMissing }) {
    this.words = h("span", {});
    this.why = h("span", { class: "line-why" });
    this.load = h("button", { type: "button", class: "quiet" }, "Load");
    this.load.addEventListener("click", () => {
      if (this.#gap !== null) loadMissing(this.#gap.from);
    });
    this.node = h("div", { class: "line gap" }, icon("gap"), this.words, this.why, this.load);
  }

  /** @param {import("../layout.js").GapBlock} gap */
  update(gap) {
    this.#gap = gap;
    setText(this.words, `${plural(gap.missing, "message is", "messages are")} gone`);
    setText(this.why, gap.loadable ? "the server may still have them" : "no longer kept");
    if (gap.loadable && gap.missing === 1) setText(this.why, "the server may still have it");
    this.load.hidden = !gap.loadable;
  }

  discard() {}
}

export class DayLine {
  /** @param {import("../layout.js").DayBlock} day */
  constructor(day) {
    this.node = h("div", { class: "line day" }, h("span", {}, formatDay(day.time)));
  }

  update() {}

  discard() {}
}

export class NoticeLine {
  /** @param {import("../layout.js").NoticeBlock} block */
  constructor({ item }) {
    const warning = item.level === "warning";
    this.node = h("div", { class: `line notice ${warning ? "is-warning" : ""}` });
    this.node.append(icon(warning ? "alert" : "info"), h("span", {}, item.text ?? ""));
  }

  update() {}

  discard() {}
}

/** What the page itself let go of. */
export class DroppedLine {
  constructor() {
    this.words = h("span", {});
    this.node = h("div", { class: "line dropped" }, this.words);
  }

  /** @param {import("../layout.js").DroppedBlock} block */
  update({ count }) {
    const what = plural(count, "older message was", "older messages were");
    setText(this.words, `${what} taken off this page to keep it light`);
  }

  discard() {}
}

export class RestartedLine {
  constructor() {
    this.node = h("div", { class: "line notice" }, icon("info"));
    this.node.append(h("span", {}, "The server started this room anew; what was here is gone"));
  }

  update() {}

  discard() {}
}
