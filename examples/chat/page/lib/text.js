/** Words and figures for people: sizes, durations, times and plurals. */

const encoder = new TextEncoder();
const numbers = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

/** @param {string} text the length that counts on the wire: UTF-8 bytes */
export function byteLength(text) {
  return encoder.encode(text).length;
}

/** @param {number} count */
export function formatNumber(count) {
  return numbers.format(count);
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export function plural(count, one, many) {
  return `${numbers.format(count)} ${count === 1 ? one : many}`;
}

/** @param {string} words of the server, which begin in lower case, as a sentence */
export function sentence(words) {
  const [first = "", ...rest] = Array.from(words);
  const text = first.toUpperCase() + rest.join("");
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/** @param {number} bytes in powers of two, with their proper names */
export function formatBytes(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** @param {number} milliseconds */
export function formatDuration(milliseconds) {
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))} ms`;
  if (milliseconds < 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return formatElapsed(milliseconds);
}

/** @param {number} milliseconds whole seconds, for something that still goes on */
export function formatElapsed(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number} seconds since 1970 */
export function formatClock(seconds) {
  return clock.format(seconds * 1000);
}

/** @param {number} seconds since 1970 */
export function formatMoment(seconds) {
  return moment.format(seconds * 1000);
}

/** @param {number} seconds since 1970; the local calendar day as a key that compares equal */
export function dayKey(seconds) {
  return new Date(seconds * 1000).toDateString();
}

/** @param {number} seconds since 1970 */
export function formatDay(seconds) {
  if (dayKey(seconds) === dayKey(Date.now() / 1000)) return "Today";
  return day.format(seconds * 1000);
}
