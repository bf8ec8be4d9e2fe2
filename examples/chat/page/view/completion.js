/**
 * File completion under an `@`: a listbox that the textarea keeps the focus of.
 *
 * Questions are debounced and numbered, and only the answer to the newest one counts: a late
 * answer can never replace a newer list.
 */

import { arrange, byId, h, setText } from "../lib/dom.js";
import { plural } from "../lib/text.js";
import { matchedRuns, mentionAt } from "../mention.js";

const DEBOUNCE_MS = 70;
const LIMIT = 20;

/**
 * @typedef {{path: string, positions: number[]}} Match
 */

export class Completion {
  #textarea;
  #ask;
  #panel = byId("completion");
  #list = byId("completion-list");
  #empty = byId("completion-empty");
  #hint = byId("completion-hint");
  #count = byId("completion-count");
  /** @type {Match[]} */
  #matches = [];
  #selected = 0;
  #timer = 0;
  /** The number of the question whose answer is awaited or shown; 0 when there is none. */
  #question = 0;
  #numbers = 0;
  /** Where the `@` of a mention stands that the user has closed with Escape. */
  #dismissed = -1;

  /**
   * @param {HTMLTextAreaElement} textarea
   * @param {(question: {id: number, query: string, limit: number}) => boolean} ask
   */
  constructor(textarea, ask) {
    this.#textarea = textarea;
    this.#ask = ask;
    textarea.addEventListener("input", () => this.#look());
    textarea.addEventListener("click", () => this.#look());
    textarea.addEventListener("keyup", (event) => {
      if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) this.#look();
    });
    textarea.addEventListener("blur", () => this.close());
    // The panel never takes the focus away from the text.
    const keepFocus = (/** @type {Event} */ event) => event.preventDefault();
    this.#panel.addEventListener("mousedown", keepFocus);
  }

  get open() {
    return !this.#panel.hidden;
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean} whether the key was for the list
   */
  key(event) {
    if (!this.open || event.isComposing) return false;
    if (event.key === "Escape") {
      this.#dismissed = this.#mention()?.start ?? -1;
      this.close();
      return true;
    }
    if (this.#matches.length === 0 || event.shiftKey || event.altKey) return false;
    const count = this.#matches.length;
    if (event.key === "ArrowDown") this.#select((this.#selected + 1) % count);
    else if (event.key === "ArrowUp") this.#select((this.#selected + count - 1) % count);
    else if (event.key === "Enter" || event.key === "Tab") this.#choose(this.#selected);
    else return false;
    return true;
  }

  /**
   * @param {{id: number, query: string, results: Match[], files: number, truncated: boolean}} frame
   */
  answer({ id, query, results, files, truncated }) {
    if (id !== this.#question) return;
    this.#matches = results.slice(0, LIMIT);
    this.#show(query, files, truncated);
  }

  close() {
    clearTimeout(this.#timer);
    this.#question = 0;
    this.#matches = [];
    this.#panel.hidden = true;
    this.#list.replaceChildren();
    this.#textarea.removeAttribute("aria-activedescendant");
    this.#textarea.removeAttribute("aria-controls");
    setText(this.#count, "");
  }

  #mention() {
    const { selectionStart, selectionEnd, value } = this.#textarea;
    return selectionStart === selectionEnd ? mentionAt(value, selectionStart) : null;
  }

  #look() {
    const mention = this.#mention();
    if (mention?.start !== this.#dismissed) this.#dismissed = -1;
    if (mention === null || mention.start === this.#dismissed) {
      this.close();
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#send(mention.query), DEBOUNCE_MS);
  }

  /** @param {string} query */
  #send(query) {
    this.#numbers += 1;
    this.#question = this.#numbers;
    if (!this.#ask({ id: this.#question, query, limit: LIMIT })) this.close();
  }

  /**
   * @param {string} query
   * @param {number} files
   * @param {boolean} truncated
   */
  #show(query, files, truncated) {
    this.#list.hidden = this.#matches.length === 0;
    this.#empty.hidden = this.#matches.length > 0;
    setText(this.#empty, query === "" ? "There are no files here" : `No file matches “${query}”`);
    const cut = truncated ? "; the index is truncated, some files are missing" : "";
    setText(this.#hint, `${plural(files, "file", "files")} indexed${cut}`);
    setText(this.#count, plural(this.#matches.length, "matching file", "matching files"));
    arrange(
      this.#list,
      this.#matches.map((match, index) => this.#option(match, index)),
    );
    this.#panel.hidden = false;
    this.#textarea.setAttribute("aria-controls", this.#list.id);
    this.#select(0);
  }

  /**
   * @param {Match} match
   * @param {number} index
   */
  #option({ path, positions }, index) {
    const characters = Array.from(path); // positions count code points, not UTF-16 units
    const slash = characters.lastIndexOf("/", characters.length - 2) + 1;
    const name = pieces(matchedRuns(characters, positions, slash, characters.length));
    const folder = pieces(matchedRuns(characters, positions, 0, slash));
    return h(
      "li",
      {
        id: `completion-${index}`,
        role: "option",
        "aria-label": path,
        "aria-selected": "false",
        onclick: () => this.#choose(index),
        onpointermove: () => this.#select(index),
      },
      h("span", { class: "file-name" }, ...name),
      h("span", { class: "file-folder" }, ...folder),
    );
  }

  /** @param {number} index */
  #select(index) {
    const before = this.#list.children[this.#selected];
    before?.setAttribute("aria-selected", "false");
    this.#selected = index;
    const option = this.#list.children[index];
    if (option === undefined) {
      this.#textarea.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.#textarea.setAttribute("aria-activedescendant", option.id);
  }

  /** @param {number} index */
  #choose(index) {
    const mention = this.#mention();
    const match = this.#matches[index];
    this.close();
    if (mention === null || match === undefined) return;
    this.#textarea.setSelectionRange(mention.start, mention.end);
    const text = `${match.path} `;
    // insertText keeps the user's undo; a browser without it gets the plain replacement.
    if (!document.execCommand("insertText", false, text)) {
      this.#textarea.setRangeText(text, mention.start, mention.end, "end");
      this.#textarea.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }
}

/** @param {{text: string, matched: boolean}[]} runs */
function pieces(runs) {
  return runs.map(({ text, matched }) => (matched ? h("mark", {}, text) : text));
}
