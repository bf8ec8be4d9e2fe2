/** The bar at the top: the room, the line to the server, who is here, the theme; and the banner. */

import { byId, icon, setText } from "../lib/dom.js";
import { recall, remember } from "../lib/identity.js";
import { formatElapsed, formatNumber, plural } from "../lib/text.js";
import { avatar } from "./avatar.js";

const THEMES = ["system", "light", "dark"];
const LINE = { idle: "Not connected", connecting: "Connecting", live: "Live", waiting: "Offline" };

export class Header {
  #theme = byId("theme");
  #banner = byId("banner");
  #connection = byId("connection");
  /** @type {import("../connection.js").ConnectionState} */
  #state = { phase: "idle" };
  #everLive = false;

  /**
   * @param {object} wishes
   * @param {() => void} wishes.join
   * @param {() => void} wishes.retry
   */
  constructor({ join, retry }) {
    byId("room").addEventListener("click", join);
    byId("me").addEventListener("click", join);
    byId("retry").addEventListener("click", retry);
    this.#theme.addEventListener("click", () => this.#nextTheme());
    this.#showTheme();
    setInterval(() => this.#countDown(), 250);
  }

  /** @param {{room: string, name: string|null}} who */
  identity({ room, name }) {
    setText(byId("room-name"), room);
    const me = byId("me");
    me.hidden = name === null;
    if (name !== null && byId("me-name").textContent !== name) {
      setText(byId("me-name"), name);
      me.replaceChildren(avatar(name), byId("me-name"));
    }
    byId("room").setAttribute("aria-label", `Room ${room}, change`);
    me.setAttribute("aria-label", `You are ${name}, change`);
  }

  /** @param {number|null} count */
  members(count) {
    const node = byId("members");
    node.hidden = count === null;
    if (count === null) return;
    setText(byId("members-count"), formatNumber(count));
    node.title = `${plural(count, "person is", "people are")} in this room`;
  }

  /** @param {string|null} name of the folder that the agent and the completion see */
  root(name) {
    byId("root").hidden = name === null;
    setText(byId("root-name"), name ?? "");
    for (const node of document.querySelectorAll("[data-root]")) setText(node, name ?? "");
  }

  /**
   * @param {import("../connection.js").ConnectionState} state
   * @param {number} waiting how many messages wait to be sent
   */
  connection(state, waiting) {
    this.#state = state;
    if (state.phase === "live") this.#everLive = true;
    this.#connection.dataset.phase = state.phase;
    setText(byId("connection-words"), LINE[state.phase]);
    // A first connection has its own word in the header; the banner is for one that was lost.
    const lost = state.phase === "waiting" || (state.phase === "connecting" && this.#shown);
    this.#banner.hidden = !lost;
    setText(byId("banner-words"), this.#everLive ? "Offline." : "The server cannot be reached.");
    const words = plural(waiting, "message waits", "messages wait");
    setText(byId("banner-waiting"), waiting > 0 ? `${words} to be sent.` : "");
    this.#countDown();
  }

  get #shown() {
    return !this.#banner.hidden;
  }

  #countDown() {
    if (this.#state.phase === "waiting") {
      const left = Math.max(0, this.#state.retryAt - Date.now());
      setText(byId("countdown"), `Next try in ${formatElapsed(Math.ceil(left / 1000) * 1000)}.`);
    } else if (this.#shown) {
      setText(byId("countdown"), "Trying now…");
    }
    byId("retry").disabled = this.#state.phase !== "waiting";
  }

  get #chosenTheme() {
    const theme = recall("theme") ?? "system";
    return THEMES.includes(theme) ? theme : "system";
  }

  #nextTheme() {
    const next = THEMES[(THEMES.indexOf(this.#chosenTheme) + 1) % THEMES.length];
    remember("theme", next === "system" ? null : next);
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    this.#showTheme();
  }

  #showTheme() {
    const theme = this.#chosenTheme;
    const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    this.#theme.replaceChildren(icon(`theme-${theme}`));
    this.#theme.title = `Theme: ${theme}`;
    this.#theme.setAttribute("aria-label", `Theme: ${theme}. Change it to ${next}`);
  }
}
