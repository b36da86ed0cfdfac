// @ts-check
// The choice of a quantity, and the colour scale beside it.

import { patch, SPECIALS } from "./colours.js";
import { html, svg } from "./elements.js";
import { quantities } from "./fetching.js";
import { isWide, page } from "./page.js";
import { QUANTITIES } from "./quantities.js";
import { scaleTicks } from "./scales.js";
import { state } from "./state.js";
import { allValues, drawn } from "./views.js";

/** Draws the controls above the panels. */
export function drawControls() {
  page.controls.hidden = ![...state.selected.values()].some((entry) => entry.record);
  page.quantity.replaceChildren(...quantities().map((value) =>
    html("option", { value, selected: value === state.quantity }, QUANTITIES.get(value)?.title ?? value)));
  page.modes.disabled = !drawn.what.log;
  for (const input of page.modes.querySelectorAll("input")) input.checked = (input.value === "relative") === state.relative;
  drawColours();
}

/** Draws the colour scale. */
function drawColours() {
  page.colours.replaceChildren();
  if (!drawn.views.length) return;
  const scale = drawn.colourScale;
  const found = new Set();
  for (const value of allValues(false)) found.add(scale.special(value));
  const [width, pad] = [isWide() ? 300 : 220, 26];
  /** @param {number} at */
  const across = (at) => pad + ((at - scale.low) / (scale.high - scale.low)) * width;
  const end = scale.colours.length - 1;
  const stops = scale.colours.map((colour, index) => svg("stop", { offset: index / end, "stop-color": colour }));
  const specials = SPECIALS.filter(([name]) => found.has(name));
  page.colours.append(
    html("div", { class: "specials" },
      ...specials.map(([name, label, title]) => html("span", { title }, patch(name), label))),
    svg("svg", { width: width + 2 * pad, height: 46, role: "img", "aria-label": `Colour scale: ${drawn.what.axis}` },
      svg("defs", {}, svg("linearGradient", { id: "gradient" }, ...stops)),
      svg("text", { class: "title", x: pad, y: 10 }, drawn.what.axis),
      svg("rect", { x: pad, y: 16, width, height: 10, fill: "url(#gradient)" }),
      ...scaleTicks(scale, 8).flatMap(([at, label]) => [
        svg("line", { class: "axis", x1: across(at), x2: across(at), y1: 26, y2: 30 }),
        svg("text", { x: across(at), y: 42, "text-anchor": "middle" }, label),
      ])));
}
