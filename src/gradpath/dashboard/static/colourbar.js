// @ts-check
// The colours of a scale, with what they mean.

import { patch, SPECIALS } from "./colours.js";
import { html, svg } from "./elements.js";
import { scaleTicks } from "./scales.js";

/** @typedef {import("./scales.js").Scale} Scale */

/**
 * A bar of colours, and the patterns of those values that have no place on it.
 * @param {Scale} scale
 * @param {string} axis what the values are
 * @param {Iterable<number>} values
 * @param {number} width
 */
export function colourBar(scale, axis, values, width) {
  const found = new Set();
  for (const value of values) found.add(scale.special(value));
  const pad = 26;
  /** @param {number} at */
  const across = (at) => pad + ((at - scale.low) / (scale.high - scale.low)) * width;
  const end = scale.colours.length - 1;
  const stops = scale.colours.map((colour, index) => svg("stop", { offset: index / end, "stop-color": colour }));
  const specials = SPECIALS.filter(([name]) => found.has(name));
  return [
    html("div", { class: "specials" },
      ...specials.map(([name, label, title]) => html("span", { title }, patch(name), label))),
    svg("svg", { width: width + 2 * pad, height: 46, role: "img", "aria-label": `Colour scale: ${axis}` },
      svg("defs", {}, svg("linearGradient", { id: "gradient" }, ...stops)),
      svg("text", { class: "title", x: pad, y: 10 }, axis),
      svg("rect", { x: pad, y: 16, width, height: 10, fill: "url(#gradient)" }),
      ...scaleTicks(scale, 8).flatMap(([at, label]) => [
        svg("line", { class: "axis", x1: across(at), x2: across(at), y1: 26, y2: 30 }),
        svg("text", { x: across(at), y: 42, "text-anchor": "middle" }, label),
      ])),
  ];
}
