/** Short notes about something that did not work: few, quiet, and gone by themselves. */

import { byId, h, icon } from "../lib/dom.js";

const MAX_SHOWN = 3;
const SECONDS = 8;

/** @param {string} text */
export function toast(text) {
  const box = byId("toasts");
  for (const shown of [...box.children]) {
    if (shown.firstElementChild?.nextElementSibling?.textContent === text) shown.remove();
  }
  while (box.children.length >= MAX_SHOWN) box.firstElementChild?.remove();
  const node = h("div", { class: "toast" }, icon("info"), h("span", {}, text));
  const close = h("button", { type: "button", class: "icon-button", "aria-label": "Close" });
  close.append(icon("close"));
  close.addEventListener("click", () => node.remove());
  node.append(close);
  box.append(node);
  setTimeout(() => node.remove(), SECONDS * 1000);
}
