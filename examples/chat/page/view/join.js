/** The dialog that asks for a name and a room: at the first visit, and whenever one is to change. */

import { byId, h, setText } from "../lib/dom.js";
import { isRoom, recentRooms } from "../lib/identity.js";

const MAX_NAME_CHARS = 40;

/**
 * @param {string} name
 * @returns {string} why it cannot be used, or ""
 */
function complaintAboutName(name) {
  if (name === "") return "Please give a name.";
  if (Array.from(name).length > MAX_NAME_CHARS) return "A name has at most 40 characters.";
  // As the server has it: a plain space is the only invisible character of a name.
  return /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(name) ? "A name has no invisible characters." : "";
}

/** @param {string} room */
function complaintAboutRoom(room) {
  if (isRoom(room)) return "";
  return "A room has 1 to 64 letters, digits, dots, hyphens or underscores.";
}

export class JoinDialog {
  #dialog = byId("join");
  #name = byId("join-name");
  #room = byId("join-room");
  #joined;

  /** @param {(choice: {name: string, room: string}) => void} joined */
  constructor(joined) {
    this.#joined = joined;
    byId("join-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#submit();
    });
    byId("join-cancel").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("cancel", (/** @type {Event} */ event) => {
      if (byId("join-cancel").hidden) event.preventDefault();
    });
    for (const input of [this.#name, this.#room]) {
      input.addEventListener("input", () => input.setCustomValidity(""));
    }
  }

  /** @param {{name: string|null, room: string}} present */
  open({ name, room }) {
    this.#name.value = name ?? "";
    this.#room.value = room;
    byId("join-cancel").hidden = name === null;
    setText(byId("join-title"), name === null ? "Join the conversation" : "Your name and room");
    setText(byId("join-submit"), name === null ? "Join" : "Save");
    this.#offerRooms(room);
    if (!this.#dialog.open) this.#dialog.showModal();
    (name === null ? this.#name : this.#room).select();
  }

  /** @param {string} present */
  #offerRooms(present) {
    const rooms = recentRooms().filter((room) => room !== present);
    byId("join-recent").hidden = rooms.length === 0;
    byId("join-rooms").replaceChildren(
      ...rooms.map((room) => {
        const choose = () => {
          this.#room.value = room;
          this.#submit();
        };
        return h("button", { type: "button", class: "chip", onclick: choose }, `#${room}`);
      }),
    );
  }

  #submit() {
    const name = this.#name.value.trim();
    const room = this.#room.value.trim().replace(/^#/, "");
    this.#name.setCustomValidity(complaintAboutName(name));
    this.#room.setCustomValidity(complaintAboutRoom(room));
    if (!byId("join-form").reportValidity()) return;
    this.#dialog.close();
    this.#joined({ name, room });
  }
}
