// @ts-check
// A picture's items are reached with the pointer and with the arrow keys, and opened with a click or Enter.

import { arrow } from "../../dashboard/static/keyboard.js";
import { clamp } from "../../dashboard/static/numbers.js";
import { hideTip, showTip } from "../../dashboard/static/tip.js";

/**
 * @typedef {object} Walk
 * @property {number} count of the items
 * @property {(x: number, y: number) => number} nearest the item at a place of the picture; -1 for none
 * @property {(item: number) => {x: number, y: number, lines: Node[]}} say where an item is, and what to say of it; marks it
 * @property {(item: number) => void} [open]
 */

/**
 * @param {SVGSVGElement} drawing
 * @param {Walk} walk
 */
export function walkable(drawing, { count, nearest, say, open }) {
  let at = -1;
  if (!count) return;
  drawing.setAttribute("tabindex", "0");
  /** @param {MouseEvent} event */
  const under = (event) => {
    const box = drawing.getBoundingClientRect();
    return nearest(event.clientX - box.left, event.clientY - box.top);
  };
  drawing.addEventListener("pointermove", (event) => {
    const item = under(event);
    if (item >= 0) showTip(event.clientX, event.clientY, say(item).lines);
    else hideTip();
  });
  drawing.addEventListener("pointerleave", hideTip);
  drawing.addEventListener("blur", hideTip);
  drawing.addEventListener("click", (event) => {
    const item = under(event);
    if (item >= 0) open?.(item);
  });
  drawing.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && at >= 0) open?.(at);
    if (event.key === "Escape") hideTip();
    const move = arrow(event);
    if (!move) return;
    at = clamp(at + (move[0] || move[1]), 0, count - 1);
    const box = drawing.getBoundingClientRect();
    const { x, y, lines } = say(at);
    showTip(box.left + x, box.top + y, lines);
  });
}
