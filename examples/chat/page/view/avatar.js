/** A person as a small square: the initial, in a colour that always belongs to that name. */

import { h } from "../lib/dom.js";

const TONES = 8;

/** @param {string} name */
function toneOf(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return sum % TONES;
}

/** @param {string} name */
export function avatar(name) {
  const initial = (Array.from(name.trim())[0] ?? "?").toUpperCase();
  return h("span", { class: `avatar tone-${toneOf(name)}`, "aria-hidden": "true" }, initial);
}
