// @ts-check
// The runs behind a cell, a point or a line. Escape closes it, and the focus returns to where it was.

import { html } from "../../dashboard/static/elements.js";
import { hideTip } from "../../dashboard/static/tip.js";
import { runCard } from "./runcard.js";

/** @typedef {import("./data.js").Run} Run */

const title = html("h2", { id: "drawer-title", tabindex: -1 });
const close = html("button", { type: "button", class: "plain" }, "Close");
const list = html("div", { class: "runs" });
export const drawer = html("dialog", { id: "drawer", "aria-labelledby": "drawer-title" },
  html("header", {}, title, close), list);

close.addEventListener("click", () => drawer.close());
drawer.addEventListener("click", (event) => {
  // Only the backdrop is the dialog itself: its content covers it.
  if (event.target === drawer) drawer.close();
});

/** The most runs that are unfolded at once. */
const UNFOLDED = 3;

/**
 * @param {string} name what the runs have in common
 * @param {Run[]} runs
 */
export function openRuns(name, runs) {
  hideTip();
  title.textContent = runs.length === 1 ? name : `${name}: ${runs.length} runs`;
  list.replaceChildren(...runs.map((run) => runCard(run, runs.length <= UNFOLDED)));
  drawer.showModal();
  list.scrollTop = 0;
  title.focus();
}
