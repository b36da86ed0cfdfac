// @ts-check
// How much the matrix says: as much as fits. Its heads stay in sight, and it scrolls in a box of its own.

import { html } from "../../dashboard/static/elements.js";
import { clamp, last } from "../../dashboard/static/numbers.js";
import { abridged, cut } from "../../dashboard/static/names.js";
import { standsFor } from "./abridged.js";

/** What a cell says: a number with its spread and count, a number, or a colour alone. @typedef {"full" | "number" | "colour"} Density */

/** @type {Density[]} */
const DENSITIES = ["full", "number", "colour"];
/** More rows than these say less each. */
const MOST_FULL = 12;
/** Characters of the heads. */
const [AT_SIDE, UPRIGHT] = [24, 26];
const CHARACTER = 7.5;

/**
 * Puts the table that says most into a place without being wider than it, over the whole page if need be; else the narrowest.
 * @param {HTMLElement} section
 * @param {HTMLElement} place
 * @param {number} rows
 * @param {(density: Density, width: number) => HTMLElement} build the table for a place of some width
 */
export function fitted(section, place, rows, build) {
  for (const density of DENSITIES.slice(rows > MOST_FULL ? 1 : 0)) {
    for (const wide of [false, true]) {
      section.classList.toggle("wide", wide);
      const box = html("div", { class: "scroll" }, build(density, place.clientWidth));
      place.replaceChildren(box);
      const fits = box.scrollWidth <= box.clientWidth;
      if (fits || (wide && density === last(DENSITIES))) {
        keepClear(box);
        return density;
      }
    }
  }
  return last(DENSITIES);
}

/**
 * A cell that the keyboard reaches is not left behind the heads.
 * @param {HTMLElement} box
 */
function keepClear(box) {
  const corner = box.querySelector(".corner");
  if (!(corner instanceof HTMLElement)) return;
  box.style.scrollPadding = `${corner.offsetHeight + 6}px 6px 6px ${corner.offsetWidth + 6}px`;
}

/**
 * The names of the keys, and the values of the columns: upright where a column is narrower than they are.
 * @param {{rows: string, columns: string}} keys
 * @param {string[]} values
 * @param {Density} density
 * @param {number} width of the whole table
 */
export function columnHeads({ rows, columns }, values, density, width) {
  const room = Math.floor(width / (values.length + 1) / CHARACTER);
  const upright = density !== "full" && values.some((value) => value.length > Math.max(2, room));
  const short = abridged(values, upright ? UPRIGHT : density === "full" ? clamp(room, 12, AT_SIDE) : Infinity);
  const corner = [[columns, "→"], [rows, "↓"]].filter(([key]) => key)
    .map(([key, way]) => html("div", standsFor(key, cut(key, AT_SIDE)), `${cut(key, AT_SIDE)} ${way}`));
  return html("tr", {}, html("th", { class: "corner" }, ...corner), ...values.map((value) =>
    html("th", { scope: "col", class: upright ? "upright" : null, style: `width: ${100 / values.length}%`, ...standsFor(value, short.get(value) ?? value) },
      html("span", {}, short.get(value) ?? value))));
}

/** @param {string[]} values */
export function rowHeads(values) {
  const short = abridged(values, AT_SIDE);
  return values.map((value) => html("th", { scope: "row", ...standsFor(value, short.get(value) ?? value) }, short.get(value) ?? value));
}
