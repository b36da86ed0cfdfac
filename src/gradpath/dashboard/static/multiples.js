// @ts-check
// The small multiples: a cell for each group of runs of a sweep, in rows and columns.

import { drawnJobs, groupTip } from "./cell.js";
import { html } from "./elements.js";
import { want } from "./ends.js";
import { walk } from "./gridwalk.js";
import { arrange } from "./grouping.js";
import { abridged, cut } from "./names.js";
import { clamp } from "./numbers.js";
import { page } from "./page.js";
import { asked } from "./profiles.js";
import { hideTip, showTip } from "./tip.js";

/** @typedef {import("./grouping.js").Group} Group */

/**
 * @typedef {object} Cell
 * @property {Group} group
 * @property {string} title the values that its jobs share
 * @property {HTMLButtonElement} button
 * @property {Record<"kind" | "count" | "keys" | "plot", HTMLElement>} parts
 * @property {boolean} seen whether it is in sight, or nearly
 */

// Pixels: of a row's head, of the narrowest cell, around the grid, and of all that stands above and below the rows.
const [SIDE, NARROWEST, AROUND, BESIDE_ROWS] = [104, 112, 48, 132];
const [LOWEST, HIGHEST] = [92, 210];
// Characters of a row's head, and the pixels of one.
const [AT_SIDE, CHARACTER] = [14, 7];

export const grid = {
  cells: /** @type {Cell[]} */ ([]),
  sides: /** @type {HTMLElement[]} */ ([]),
  feet: /** @type {HTMLElement[]} */ ([]),
  title: html("div", { class: "foot title" }),
  left: /** @type {string[]} */ ([]),
};

/** @type {IntersectionObserver | null} */
let observer = null;

/** Asks for the runs in sight that are not up to date. */
export const follow = () => want(grid.cells.flatMap(({ group, seen }) => (seen ? drawnJobs(group).map(({ run }) => run ?? "") : [])));

/**
 * Lays out the cells. Only those in sight are loaded.
 * @param {(group: Group) => void} open is called with what a cell holds, when it is chosen
 * @param {() => void} redraw is called when other cells have come into sight
 */
export function buildGrid(open, redraw) {
  const active = document.activeElement;
  const focused = active instanceof HTMLElement ? active.dataset.cell : undefined;
  const fit = Math.max(1, Math.floor((page.multiples.clientWidth - SIDE - AROUND) / NARROWEST));
  const { heads, lines, left } = arrange(asked.jobs ?? [], asked.rows, asked.columns, fit);
  const count = heads?.length ?? fit;
  const height = clamp((page.multiples.clientHeight - BESIDE_ROWS) / Math.max(1, lines.length) - 6, LOWEST, HIGHEST);
  Object.assign(grid, { cells: [], sides: [], left });
  const sides = abridged(lines.map(({ head }) => head), AT_SIDE);
  const values = heads ?? lines.flatMap(({ groups }) => groups.map(({ column }) => column));
  const tops = abridged(values, Math.max(AT_SIDE, Math.floor(page.grid.clientWidth / (count + 1) / CHARACTER)));
  const rows = lines.flatMap(({ head, groups }, row) => {
    const side = html("div", { class: "side", title: head, "data-short": sides.get(head) });
    grid.sides.push(side);
    return [side, ...groups.map((group, column) => {
      const place = { "data-cell": `${row} ${column}`, style: `grid-column: ${column + 2}` };
      return group.jobs.length ? makeCell(group, place, heads === null ? tops.get(group.column) ?? "" : "", open) : html("div", { class: "cell none soft", ...place }, "no job");
    })];
  });
  grid.feet = Array.from({ length: count }, (_, column) => html("div", { class: "foot", style: `grid-column: ${column + 2}` }));
  page.grid.style.setProperty("--columns", String(count));
  page.grid.style.setProperty("--height", `${Math.floor(height)}px`);
  page.grid.replaceChildren(
    html("div", { class: "corner soft", title: asked.rows }, asked.rows && `${cut(asked.rows, AT_SIDE - 2)} ↓`),
    ...(heads ?? []).map((head) => html("div", { class: "head", title: head }, tops.get(head))), ...rows,
    html("div", { class: "foot", style: "grid-column: 1" }), ...grid.feet, grid.title);
  walk(grid.cells.map(({ button }) => button), focused);
  watch(redraw);
}

/** @param {() => void} redraw */
function watch(redraw) {
  const byButton = new Map(grid.cells.map((cell) => [/** @type {Element} */ (cell.button), cell]));
  observer?.disconnect();
  observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const cell = byButton.get(target);
      if (cell) cell.seen = isIntersecting;
    }
    follow();
    redraw();
  }, { root: page.multiples, rootMargin: "150px" });
  for (const button of byButton.keys()) observer.observe(button);
}

/**
 * @param {Group} group
 * @param {Record<string, string>} place
 * @param {string} headed its own value, if that heads the cell
 * @param {(group: Group) => void} open
 */
function makeCell(group, place, headed, open) {
  /** @type {(key: string, value: string) => string[]} */
  const pair = (key, value) => (key ? [`${key}=${value}`] : []);
  const title = [...pair(asked.rows, group.row), ...pair(asked.columns, group.column)].join(", ") || "all jobs";
  const parts = {
    kind: html("b", { class: "class" }), count: html("span", { class: "count soft" }), keys: html("span", { class: "keys soft" }),
    plot: html("div", { class: "small" }),
  };
  const button = html("button", { type: "button", class: "cell", ...place },
    headed ? html("span", { class: "own" }, headed) : null,
    html("span", { class: "says" }, parts.kind, parts.count, parts.keys), parts.plot);
  grid.cells.push({ group, title, button, parts, seen: false });
  button.addEventListener("pointermove", ({ clientX, clientY }) => showTip(clientX, clientY, groupTip(group, title)));
  button.addEventListener("focus", () => {
    const { left, bottom, width } = button.getBoundingClientRect();
    if (button.matches(":focus-visible")) showTip(left + width / 2, bottom - 30, groupTip(group, title));
  });
  for (const leaving of ["pointerleave", "blur"]) button.addEventListener(leaving, hideTip);
  button.addEventListener("click", () => open(group));
  return button;
}
