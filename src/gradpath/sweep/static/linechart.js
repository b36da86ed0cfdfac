// @ts-check
// A line per group, with a band from its lowest to its highest run.

import { abscissa, grid, makePlane, margin } from "../../dashboard/static/axes.js";
import { swatch } from "../../dashboard/static/colours.js";
import { fill, html, svg } from "../../dashboard/static/elements.js";
import { area, curve, offScale } from "../../dashboard/static/lines.js";
import { decimal } from "../../dashboard/static/numbers.js";
import { scaleTicks } from "../../dashboard/static/scales.js";
import { walkable } from "./walking.js";

/** @typedef {import("../../dashboard/static/scales.js").Scale} Scale */
/** @typedef {import("./statistics.js").Summary} Summary */

/**
 * One line: its values at the places `xs`.
 * @typedef {{name: string, colour: string, xs: number[], points: Summary[], theory: number[] | null}} Series
 */

/**
 * @typedef {object} Chart
 * @property {string} label what is drawn, for those who do not see it
 * @property {string} title of the horizontal axis
 * @property {[x: number, label: string][]} xTicks
 * @property {Scale} scale
 * @property {Series[]} series
 * @property {boolean} dots
 * @property {(x: number) => string} place what a place is called
 */

const HEIGHT = 260;
const [RIGHT, TOP, BOTTOM, INSET] = [16, 6, 36, 8];

/**
 * @param {HTMLElement} parent
 * @param {Chart} chart
 */
export function drawLines(parent, chart) {
  const { scale, series } = chart;
  const yTicks = scaleTicks(scale, 6);
  const left = margin(yTicks);
  const plane = makePlane({ left, top: TOP, width: Math.max(80, parent.clientWidth - left - RIGHT), height: HEIGHT }, scale);
  const places = [...new Set(series.flatMap(({ xs }) => xs))].sort((a, b) => a - b);
  const [low, high] = [Math.min(...places), Math.max(...places)];
  /** @param {number} x */
  const across = (x) =>
    left + (high > low ? INSET + ((x - low) / (high - low)) * (plane.width - 2 * INSET) : plane.width / 2);
  const hair = svg("line", { class: "axis" });
  const drawing = svg("svg", {
    width: parent.clientWidth, height: HEIGHT + TOP + BOTTOM, role: "img", "aria-label": `${chart.label}. Arrow keys move through it.`,
  },
    ...grid(plane, yTicks),
    ...chart.xTicks.filter(([x]) => x >= low && x <= high).map(([x, label]) =>
      svg("text", { x: across(x), y: TOP + HEIGHT + 15, "text-anchor": "middle" }, label)),
    abscissa(plane, chart.title), hair, ...series.flatMap((one) => drawn(one, plane, across, chart.dots)));
  walkable(drawing, {
    count: places.length,
    nearest: (x) => places.reduce((best, place, at) => (Math.abs(across(place) - x) < Math.abs(across(places[best]) - x) ? at : best), 0),
    say: (item) => {
      const x = places[item];
      fill(hair, { x1: across(x), x2: across(x), y1: TOP, y2: TOP + HEIGHT }, []);
      return { x: across(x), y: TOP, lines: [html("b", {}, chart.place(x)), ...series.flatMap((one) => said(one, x))] };
    },
  });
  parent.replaceChildren(drawing);
}

/**
 * @param {Series} series
 * @param {import("../../dashboard/static/axes.js").Plane} plane
 * @param {(x: number) => number} across
 * @param {boolean} dots
 */
function drawn({ name, colour, xs, points, theory }, plane, across, dots) {
  const { scale } = plane;
  /** @param {number} index */
  const at = (index) => across(xs[index]);
  const means = points.map(({ mean }) => mean);
  const lone = points.length === 1 || dots;
  return [
    points.some(({ n }) => n > 1)
      ? svg("path", { class: "band", d: area([points.map(({ low }) => low), points.map(({ high }) => high)], plane, at), fill: colour })
      : null,
    theory ? svg("path", { class: "theory", d: curve(theory, plane, at), stroke: colour }) : null,
    svg("path", { class: "measured", "data-group": name, d: curve(means, plane, at), stroke: colour }),
    ...(lone ? means.map((mean, index) => scale.special(mean) === null
      ? svg("circle", { class: "dot", cx: at(index), cy: plane.up(mean), r: 3, fill: colour }) : null) : []),
    ...means.map((mean, index) => offScale(scale.special(mean), at(index), plane, colour)),
  ];
}

/**
 * @param {Series} series
 * @param {number} x
 */
function said({ name, colour, xs, points, theory }, x) {
  const index = xs.indexOf(x);
  if (index < 0) return [];
  const { n, mean, low, high } = points[index];
  const range = n > 1 ? ` (${decimal(low)} to ${decimal(high)}, n ${n})` : "";
  const predicted = theory ? theory[index] : NaN;
  return [html("div", {}, swatch(colour), `${name}: ${decimal(mean)}${range}`,
    Number.isFinite(predicted) ? `theory ${decimal(predicted)}` : null)];
}
