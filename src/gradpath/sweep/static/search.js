// @ts-check
// A search: its objective over the trials, and against each key that it chose values for.

import { html, svg } from "../../dashboard/static/elements.js";
import { decimal } from "../../dashboard/static/numbers.js";
import { follow, shown } from "./chosen.js";
import { columnOf, keyColumn } from "./columns.js";
import { report } from "./data.js";
import { empty, section, select } from "./parts.js";
import { drawPoints } from "./scatter.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./data.js").Run} Run */
/** @typedef {import("./scatter.js").Placed} Placed */

const goals = report.search?.objectives ?? [];
const asked = { goal: 0 };

/** @type {Column} */
const TRIAL = { name: "trial", title: "trial", kind: "interval", value: (run) => run.number, whole: true };

/**
 * The best value that was known after each trial.
 * @param {Column} column
 * @param {boolean} higher
 * @param {Run[]} runs
 * @returns {[run: Run, best: number][]}
 */
function bests(column, higher, runs) {
  let best = NaN;
  return runs.filter((run) => Number.isFinite(column.value(run))).sort((a, b) => a.number - b.number).map((run) => {
    const value = column.value(run);
    if (Number.isNaN(best) || (higher ? value > best : value < best)) best = value;
    return [run, best];
  });
}

/**
 * A line that steps where a better trial was found.
 * @param {[Run, number][]} known
 */
const steps = (known) => (/** @type {Placed} */ { across, up }) => svg("path", {
  class: "best", d: known.map(([run, best], at) => (at ? `H${across(run)}V${up(best)}` : `M${across(run)} ${up(best)}`)).join(""),
});

export function drawSearch() {
  const options = goals.map(({ column }, at) => ({ value: String(at), title: column }));
  const { element, note, place } = section("search", "The search", ...(options.length > 1
    ? [select("Objective", options, "0", (value) => { asked.goal = Number(value); draw(); })] : []));
  function draw() {
    const { column: name, direction } = goals[asked.goal];
    const goal = columnOf(name);
    const known = goal?.name === name ? bests(goal, direction === "maximize", shown()) : [];
    if (!known.length) {
      note.textContent = "";
      place.replaceChildren(empty("No trial that is shown has come to its end with this number yet."));
      return;
    }
    const runs = known.map(([run]) => run);
    const best = known.findLast(([run, value]) => goal.value(run) === value)?.[1] ?? NaN;
    const lost = shown().length - runs.length;
    const without = lost ? `; ${lost} without it` : "";
    note.textContent = `${direction} ${name}: best ${decimal(best)} of ${runs.length} ${runs.length === 1 ? "trial" : "trials"}${without}; the line is the best so far`;
    const wide = html("div", { class: "trials" });
    const small = report.keys.map((key) => /** @type {[HTMLElement, string]} */ ([html("div", { "data-key": key }), key]));
    place.replaceChildren(wide, html("div", { class: "against" }, ...small.map(([part]) => part)));
    drawPoints(wide, TRIAL, goal, runs, steps(known));
    for (const [part, key] of small) drawPoints(part, keyColumn(key), goal, runs);
  }
  follow(draw);
  return element;
}
