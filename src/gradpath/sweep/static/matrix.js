// @ts-check
// The grid of the sweep as a matrix over two of its keys.

import { colourBar } from "../../dashboard/static/colourbar.js";
import { isDark, tone } from "../../dashboard/static/colours.js";
import { html } from "../../dashboard/static/elements.js";
import { arrow } from "../../dashboard/static/keyboard.js";
import { clamp, decimal } from "../../dashboard/static/numbers.js";
import { centred, makeScale } from "../../dashboard/static/scales.js";
import { hideTip, showTip } from "../../dashboard/static/tip.js";
import { axis, cells } from "./cells.js";
import { follow, shown } from "./chosen.js";
import { columnOf, MEASURED } from "./columns.js";
import { LOST, report, SHARED } from "./data.js";
import { openRuns } from "./drawer.js";
import { columnHeads, fitted, rowHeads } from "./gridheads.js";
import { empty, mark, section, select } from "./parts.js";
import { isDivided, sharesOf } from "./shares.js";

/** @typedef {import("../../dashboard/static/scales.js").Scale} Scale */
/** @typedef {import("./cells.js").Cell} Cell */
/** @typedef {import("./gridheads.js").Density} Density */

/** Keys of the axes: the two with the most values, seeds last; the longer one is across. */
const [across = "", down = ""] = SHARED
  .toSorted((a, b) => Number(a === "seed") - Number(b === "seed") || sharesOf(b).length - sharesOf(a).length);
const asked = { rows: down, columns: across, metric: report.search?.objectives[0]?.column ?? MEASURED[0]?.name ?? "" };
const NOTHING = report.runs.every(({ status }) => status === "missing") ? "No run has come to its end yet." : "No run has left a number.";
/** The cell that the keyboard has reached. */
const reached = { row: 0, column: 0 };

/** @param {Cell} cell */
const nameOf = ({ row, column }) => [[asked.rows, row], [asked.columns, column]]
  .filter(([key]) => key).map(([key, value]) => `${key} ${value}`).join(", ") || "all runs";

/** @param {number} sd */
const rough = (sd) => decimal(Number(sd.toPrecision(2)));

/** @param {Cell} cell */
function lines({ runs, found, ...place }) {
  const metric = columnOf(asked.metric);
  const counts = LOST.map((status) => [status, runs.filter((run) => run.status === status).length]);
  const { n, mean, sd, low, high, geometric } = found;
  const spread = Number.isNaN(sd) ? "" : `, sd ${decimal(sd)}${geometric ? " decades" : ""}`;
  return [
    nameOf({ runs, found, ...place }),
    n ? `${metric.title}: ${geometric ? "geometric mean" : "mean"} ${decimal(mean)}${spread}, n ${n}` : `${metric.title}: no value`,
    ...(n > 1 ? [`${decimal(low)} to ${decimal(high)}`] : []),
    ...counts.filter(([, count]) => count).map(([status, count]) => `${count} ${status === "missing" ? "not ended" : status}`),
  ];
}

/**
 * @param {Cell} cell
 * @param {Scale} scale
 * @param {Density} density
 */
function drawCell(cell, scale, density) {
  const { runs, found: { n, mean, sd, geometric } } = cell;
  const bad = LOST.flatMap((status) => {
    const count = runs.filter((run) => run.status === status).length;
    return count ? [mark(status, count)] : [];
  });
  const rgb = n ? tone(scale.colours, clamp((scale.place(mean) - scale.low) / (scale.high - scale.low), 0, 1)) : null;
  const number = density === "colour" ? null : html("b", {}, n ? decimal(mean) : runs.length ? "–" : "");
  const spread = Number.isNaN(sd) ? "" : geometric ? `×/÷ ${rough(10 ** sd)} · ` : `± ${rough(sd)} · `;
  return html("td", {
    role: "gridcell", tabindex: -1, "aria-label": lines(cell).join("; "), class: rgb ? (isDark(rgb) ? "dark" : "light") : "none",
    style: rgb ? `background: rgb(${rgb.join(" ")})` : null, "data-row": cell.row, "data-column": cell.column,
    "data-mean": n ? mean : null, "data-sd": Number.isNaN(sd) ? null : sd, "data-n": n,
  }, number, n > 1 && density === "full" ? html("small", {}, `${spread}n ${n}`) : null, ...bad);
}

/** @param {string} label */
const options = (label) => [...SHARED.map((value) => ({ value, title: value })), { value: "", title: label }];

/**
 * What the cells hold, and what of the sweep they do not show.
 * @param {Density} density
 */
function said(density) {
  const others = report.keys.filter((name) => name !== asked.rows && name !== asked.columns);
  const drawn = report.keys.filter((name) => !SHARED.includes(name));
  const divided = [asked.rows, asked.columns].filter((name) => name && isDivided(name));
  const spread = density === "full" ? "mean ± standard deviation" : "mean";
  return [
    ...(others.length ? [`${spread} over ${others.join(", ")}`] : []),
    ...(divided.length ? [`${divided.join(" and ")} in intervals`] : []),
    ...(density === "colour" ? ["the pointer or the arrow keys tell the values"] : []),
    ...(drawn.length ? [`no axis, as nearly each trial has its own: ${drawn.join(", ")} (see The search)`] : []),
  ];
}

export function drawMatrix() {
  const { element, note, key, place } = section("matrix", "The grid",
    select("Rows", options("none"), asked.rows, (value) => { asked.rows = value; draw(); }),
    select("Columns", options("none"), asked.columns, (value) => { asked.columns = value; draw(); }),
    !MEASURED.length ? null : select("Colour", MEASURED.map(({ name, title }) => ({ value: name, title })), asked.metric, (value) => { asked.metric = value; draw(); }));
  function draw() {
    const runs = shown();
    if (!MEASURED.length || !runs.length) {
      key.replaceChildren();
      place.replaceChildren(empty(runs.length ? NOTHING : "No run is shown. Show all to see them again."));
      return;
    }
    const metric = columnOf(asked.metric);
    const grid = cells(runs, asked.rows, asked.columns, metric);
    const means = grid.flat().filter(({ found }) => found.n).map(({ found }) => found.mean);
    const scale = centred(makeScale(metric.kind, means, metric.most));
    key.className = "colours";
    key.replaceChildren(...colourBar(scale, metric.title, means, 260));
    const columns = axis(asked.columns, runs);
    const label = `${metric.title} over ${[asked.rows, asked.columns].filter(Boolean).join(" and ")}`;
    const density = fitted(element, place, grid.length, (density, width) => {
      return html("table", { role: "grid", class: density, "aria-label": label },
        html("thead", {}, columnHeads(asked, columns, density, width)),
        html("tbody", {}, ...rowHeads(grid.map(([{ row }]) => row)).map((head, at) =>
          html("tr", {}, head, ...grid[at].map((cell) => drawCell(cell, scale, density))))));
    });
    const table = place.querySelector("table");
    if (table) listen(table, grid);
    note.textContent = said(density).join("; ");
  }
  follow(draw);
  return element;
}

/**
 * Makes the cells answer the pointer and the keyboard. One of them is reached by Tab, the others by arrow keys.
 * @param {HTMLTableElement} table
 * @param {Cell[][]} grid
 */
function listen(table, grid) {
  const rows = [...table.tBodies[0].rows].map((row) => /** @type {HTMLElement[]} */ ([...row.querySelectorAll("td")]));
  reached.row = clamp(reached.row, 0, rows.length - 1);
  reached.column = clamp(reached.column, 0, rows[0].length - 1);
  rows[reached.row][reached.column].tabIndex = 0;
  /** @param {HTMLElement} element @param {Cell} cell @param {number} down @param {number} right */
  const listenTo = (element, cell, down, right) => {
    /** @param {number} x @param {number} y */
    const tell = (x, y) => showTip(x, y, lines(cell).map((line) => html("div", {}, line)));
    const open = () => { if (cell.runs.length) openRuns(nameOf(cell), cell.runs); };
    element.addEventListener("pointermove", (event) => tell(event.clientX, event.clientY));
    element.addEventListener("pointerleave", hideTip);
    element.addEventListener("blur", hideTip);
    element.addEventListener("focus", () => {
      rows[reached.row][reached.column].tabIndex = -1;
      Object.assign(reached, { row: down, column: right });
      element.tabIndex = 0;
      const box = element.getBoundingClientRect();
      tell(box.left + box.width / 2, box.bottom - 12);
    });
    element.addEventListener("click", open);
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
      if (event.key === "Escape") hideTip();
      const move = arrow(event);
      if (move) rows[clamp(down - move[1], 0, rows.length - 1)][clamp(right + move[0], 0, rows[0].length - 1)].focus();
    });
  };
  for (const [down, row] of rows.entries()) {
    for (const [right, element] of row.entries()) listenTo(element, grid[down][right], down, right);
  }
}
