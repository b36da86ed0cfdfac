// @ts-check
// Names that are cut. The whole text shows beside the pointer, or beside what has the focus.

import { html } from "../../dashboard/static/elements.js";
import { hideTip, showTip } from "../../dashboard/static/tip.js";

/**
 * What an element that shows `short` for `whole` is given.
 * @param {string} whole
 * @param {string} short
 */
export const standsFor = (whole, short) => (whole === short ? {} : { "data-whole": whole, "aria-label": whole });

/** @param {Event} event */
const cutIn = ({ target }) => (target instanceof Element ? target.closest("[data-whole]") : null);

/** @param {Element} element @param {number} x @param {number} y */
const tell = (element, x, y) =>
  showTip(x, y, (element.getAttribute("data-whole") ?? "").split("\n").map((line) => html("div", {}, line)));

/** Makes all cut texts of the page answer the pointer and the focus. */
export function tellWhole() {
  document.addEventListener("pointerover", (event) => {
    const element = cutIn(event);
    if (element) tell(element, event.clientX, event.clientY);
  });
  document.addEventListener("focusin", (event) => {
    const element = cutIn(event);
    if (!element?.matches(":focus-visible")) return;
    const { left, bottom } = element.getBoundingClientRect();
    tell(element, left, bottom - 12);
  });
  for (const leaving of ["pointerout", "focusout"]) document.addEventListener(leaving, (event) => { if (cutIn(event)) hideTip(); });
}
