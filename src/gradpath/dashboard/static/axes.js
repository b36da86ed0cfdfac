// @ts-check
// The plane that curves are drawn in: its vertical scale, grid and frame.

import { svg, textWidth } from "./elements.js";

/** @typedef {import("./scales.js").Scale} Scale */
/** @typedef {{left: number, top: number, width: number, height: number}} Box */
/** @typedef {[at: number, label: string]} Tick */

/**
 * A vertical scale in a box. Above and below its values a gap is left.
 * @typedef {Box & {scale: Scale, level: (at: number) => number, up: (value: number) => number}} Plane
 */

/**
 * @param {Box} box
 * @param {Scale} scale
 * @returns {Plane}
 */
export function makePlane(box, scale) {
  const gap = 0.02 * box.height;
  /** @param {number} at a place on the scale */
  const level = (at) => box.top + gap + (box.height - 2 * gap) * (1 - (at - scale.low) / (scale.high - scale.low));
  return { ...box, scale, level, up: (value) => level(scale.place(value)) };
}

/**
 * The room that labels need at the left.
 * @param {Tick[]} ticks
 */
export const margin = (ticks) => Math.max(0, ...ticks.map(([, label]) => textWidth(label))) + 14;

/**
 * The grid, the labels at the left, and the two axes.
 * @param {Plane} plane
 * @param {Tick[]} ticks
 */
export function grid({ left, top, width, height, level }, ticks) {
  return [
    ...ticks.flatMap(([at, label]) => [
      svg("line", { class: "grid", x1: left, x2: left + width, y1: level(at), y2: level(at) }),
      svg("text", { x: left - 7, y: level(at) + 4, "text-anchor": "end" }, label)]),
    svg("path", { class: "axis", d: `M${left} ${top}v${height}h${width}` }),
  ];
}

/**
 * What the horizontal axis shows.
 * @param {Plane} plane
 * @param {string} title
 */
export const abscissa = ({ left, top, width, height }, title) =>
  svg("text", { class: "title", x: left + width / 2, y: top + height + 31, "text-anchor": "middle" }, title);

/**
 * Ticks without those whose labels would touch one that is kept. The labels' middles stand below their places.
 * @param {Tick[]} ticks in order
 * @param {(at: number) => number} across
 */
export function spaced(ticks, across) {
  let end = -Infinity;
  return ticks.filter(([at, label]) => {
    const half = textWidth(label) / 2;
    if (across(at) - half < end + 8) return false;
    end = across(at) + half;
    return true;
  });
}
