/** The `@query` under the caret, and what choosing a path makes of it: pure functions of a text. */

import { byteLength } from "./lib/text.js";

const MAX_QUERY_BYTES = 256; // what the protocol allows
const OPENS_A_WORD = /[\s([{<"'`,;:]/;

/**
 * @param {string} text
 * @param {number} caret
 * @returns {{start: number, end: number, query: string}|null} the word from its `@` (at the start
 *   of a word) to its end, and the part of it before the caret
 */
export function mentionAt(text, caret) {
  let start = caret;
  while (start > 0 && !/\s/.test(text[start - 1])) start -= 1;
  const at = text.lastIndexOf("@", caret - 1);
  if (at < start) return null;
  if (at > start && !OPENS_A_WORD.test(text[at - 1])) return null;
  const query = text.slice(at + 1, caret);
  if (byteLength(query) > MAX_QUERY_BYTES) return null;
  let end = caret;
  while (end < text.length && !/\s/.test(text[end])) end += 1;
  return { start: at, end, query };
}

/**
 * Cut a path into runs of characters that matched and that did not.
 *
 * @param {string[]} characters of the path, one code point each
 * @param {number[]} positions of the matched ones
 * @param {number} from first character of the wanted part
 * @param {number} to first character after it
 * @returns {{text: string, matched: boolean}[]}
 */
export function matchedRuns(characters, positions, from, to) {
  const matches = new Set(positions);
  /** @type {{text: string, matched: boolean}[]} */
  const runs = [];
  for (let place = from; place < to; place += 1) {
    const matched = matches.has(place);
    const last = runs.at(-1);
    if (last?.matched === matched) last.text += characters[place];
    else runs.push({ text: characters[place], matched });
  }
  return runs;
}
