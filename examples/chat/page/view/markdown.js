/**
 * Light markdown as nodes: paragraphs, fenced and inline code, lists, headings and bold.
 *
 * Everything else stays the text it is. Two passes over the text, lines then characters, without
 * a regular expression that could backtrack: agents print long things.
 */

import { h } from "../lib/dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]{0,32})[^`]*$/;
const BULLET = /^\s{0,8}[-*+]\s+(?=\S)/;
const NUMBER = /^\s{0,8}(\d{1,9})[.)]\s+(?=\S)/;
const HEADING = /^#{1,6}\s+(?=\S)/;

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export function markdown(text) {
  const root = h("div", { class: "prose" });
  const lines = text.split("\n");
  let line = 0;
  while (line < lines.length) {
    if (lines[line].trim() === "") line += 1;
    else line = block(root, lines, line);
  }
  return root;
}

/**
 * @param {HTMLElement} root
 * @param {string[]} lines
 * @param {number} start
 * @returns {number} the first line after the block
 */
function block(root, lines, start) {
  const fence = FENCE.exec(lines[start]);
  if (fence !== null) return fencedCode(root, lines, start, fence[1]);
  if (HEADING.test(lines[start])) {
    root.append(h("p", { class: "heading" }, ...inline(lines[start].replace(HEADING, ""))));
    return start + 1;
  }
  if (BULLET.test(lines[start])) return list(root, lines, start, BULLET, "ul");
  if (NUMBER.test(lines[start])) return list(root, lines, start, NUMBER, "ol");
  let end = start + 1;
  while (end < lines.length && !opensBlock(lines[end])) end += 1;
  root.append(h("p", {}, ...inline(lines.slice(start, end).join("\n"))));
  return end;
}

/** @param {string} line */
function opensBlock(line) {
  return line.trim() === "" || [FENCE, HEADING, BULLET, NUMBER].some((form) => form.test(line));
}

/**
 * @param {HTMLElement} root
 * @param {string[]} lines
 * @param {number} start
 * @param {string} marks
 */
function fencedCode(root, lines, start, marks) {
  let end = start + 1;
  while (end < lines.length && !lines[end].trim().startsWith(marks)) end += 1;
  const code = lines.slice(start + 1, end).join("\n");
  root.append(h("pre", { tabindex: "0" }, h("code", {}, code)));
  return end + 1;
}

/**
 * @param {HTMLElement} root
 * @param {string[]} lines
 * @param {number} start
 * @param {RegExp} form
 * @param {"ul"|"ol"} tag
 */
function list(root, lines, start, form, tag) {
  const first = tag === "ol" ? NUMBER.exec(lines[start])?.[1] : undefined;
  const node = h(tag, { start: first === "1" ? undefined : first });
  let line = start;
  while (line < lines.length && form.test(lines[line])) {
    const parts = [lines[line].replace(form, "")];
    line += 1;
    while (line < lines.length && /^\s/.test(lines[line]) && !opensBlock(lines[line])) {
      parts.push(lines[line].trim());
      line += 1;
    }
    node.append(h("li", {}, ...inline(parts.join("\n"))));
  }
  root.append(node);
  return line;
}

/**
 * @param {string} text
 * @param {boolean} [boldAllowed]
 * @returns {(Node|string)[]}
 */
function inline(text, boldAllowed = true) {
  /** @type {(Node|string)[]} */
  const parts = [];
  let plain = 0;
  let place = 0;
  while (place < text.length) {
    const span = spanAt(text, place, boldAllowed);
    if (span.node === null) {
      place = span.end;
      continue;
    }
    if (place > plain) parts.push(text.slice(plain, place));
    parts.push(span.node);
    place = plain = span.end;
  }
  if (plain < text.length) parts.push(text.slice(plain));
  return parts;
}

/**
 * @param {string} text
 * @param {number} place
 * @param {boolean} boldAllowed
 * @returns {{node: Node|null, end: number}} no node: the text up to `end` is plain
 */
function spanAt(text, place, boldAllowed) {
  if (text[place] === "`") {
    let end = place;
    while (text[end] === "`") end += 1;
    const ticks = text.slice(place, end);
    const close = text.indexOf(ticks, end);
    if (close <= end) return { node: null, end };
    return { node: h("code", {}, text.slice(end, close)), end: close + ticks.length };
  }
  if (boldAllowed && text.startsWith("**", place) && /\S/.test(text[place + 2] ?? "")) {
    const close = text.indexOf("**", place + 3);
    if (close === -1) return { node: null, end: place + 2 };
    return {
      node: h("strong", {}, ...inline(text.slice(place + 2, close), false)),
      end: close + 2,
    };
  }
  return { node: null, end: place + 1 };
}
