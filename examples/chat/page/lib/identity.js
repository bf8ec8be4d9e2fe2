/** What this browser remembers between visits, and the ids that it gives to its messages. */

const RECENT_ROOMS = 6;
export const DEFAULT_ROOM = "lobby";
const ROOM = /^[\p{L}\p{N}._-]{1,64}$/u;

/** @param {string} key */
export function recall(key) {
  try {
    return localStorage.getItem(`chat.${key}`);
  } catch {
    return null; // storage may be switched off; the page works without a memory
  }
}

/**
 * @param {string} key
 * @param {string|null} value null forgets it
 */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(`chat.${key}`);
    else localStorage.setItem(`chat.${key}`, value);
  } catch {
    // as above
  }
}

/** @param {string} room */
export function isRoom(room) {
  return ROOM.test(room);
}

/**
 * The room that a URL fragment names, `#lobby` or `#room=lobby`.
 *
 * @param {string} fragment
 * @returns {string|null} null when there is none or it is not a room's name
 */
export function roomOf(fragment) {
  const text = fragment.replace(/^#/, "").replace(/^room=/, "");
  let room;
  try {
    room = decodeURIComponent(text);
  } catch {
    return null;
  }
  return isRoom(room) ? room : null;
}

/** @returns {string[]} newest first */
export function recentRooms() {
  return (recall("rooms") ?? "").split(" ").filter(isRoom).slice(0, RECENT_ROOMS);
}

/** @param {string} room */
export function visited(room) {
  const others = recentRooms().filter((other) => other !== room);
  remember("rooms", [room, ...others].slice(0, RECENT_ROOMS).join(" "));
}

/** @param {number} bytes */
function randomHex(bytes) {
  // getRandomValues and not randomUUID: the latter is missing on pages served without TLS.
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(values, (value) => value.toString(16).padStart(2, "0")).join("");
}

/** A mark by which this browser knows its own messages again, also after a reload. */
function browserMark() {
  const known = recall("browser");
  if (known !== null && /^[0-9a-f]{12}$/.test(known)) return known;
  const fresh = randomHex(6);
  remember("browser", fresh);
  return fresh;
}

const mark = browserMark();

/** A fresh id for a message. */
export function newMessageId() {
  return `${mark}.${randomHex(8)}`;
}

/** @param {string} id */
export function isOwnId(id) {
  return typeof id === "string" && id.startsWith(`${mark}.`);
}
