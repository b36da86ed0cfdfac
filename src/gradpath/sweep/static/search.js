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
    // A trial that diverged counts as failed.
    if (run.status !== "ok") return [run, best];
    if (Number.isNaN(best) || (higher ? value > best : value < best)) best = value;
    return [run, best];
  });
}

/**
 * A line that steps where a better trial was found.
 * @param {[Run, number][]} known
 */
const steps = (known) => (/** @type {Placed} */ { across, up }) => svg("path", {
  class: "best", d: known.filter(([, best]) => !Number.isNaN(best))
    .map(([run, best], at) => (at ? `H${across(run)}V${up(best)}` : `M${across(run)} ${up(best)}`)).join(""),
});

/**
 * The edge of what the trials on the front reach: the best value upwards of a trial that is as good across.
 * @param {Run[]} runs
 * @param {Column} x
 * @param {Column} y
 * @param {boolean} higher whether more is better across
 */
const edge = (runs, x, y, higher) => (/** @type {Placed} */ { across, up }) => svg("path", {
  class: "best", d: runs.filter(({ front }) => front).sort((a, b) => x.value(a) - x.value(b)).map((run, at) => {
    const [right, top] = [across(run), up(y.value(run))];
    return at ? higher ? `V${top}H${right}` : `H${right}V${top}` : `M${right} ${top}`;
  }).join(""),
});

/**
 * The objectives against each other, two by two. Of two, the front has a line.
 * @returns {((runs: Run[]) => [HTMLElement, () => void])[]}
 */
function pairs() {
  const known = goals.filter(({ column }) => columnOf(column)?.name === column);
  return known.flatMap((right, at) => known.slice(at + 1).map((top) => (/** @type {Run[]} */ runs) => {
    const [x, y] = [columnOf(right.column), columnOf(top.column)];
    const part = html("div");
    const titled = html("div", { class: "pair" }, html("h3", {}, y.title, html("span", { class: "soft" }, ` (${top.direction}) against ${x.title} (${right.direction})`)), part);
    const under = goals.length === 2 ? edge(runs, x, y, right.direction === "maximize") : undefined;
    return [titled, () => void drawPoints(part, x, y, runs, under)];
  }));
}

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
    const counted = shown().filter(({ front }) => front).length;
    if (goals.length > 1) note.textContent += `; the front, ringed, is the ${counted} that no other trial beats in all objectives`;
    const against = pairs().map((make) => make(shown()));
    const wide = html("div", { class: "trials" });
    const small = report.keys.map((key) => /** @type {[HTMLElement, string]} */ ([html("div", { "data-key": key }), key]));
    place.replaceChildren(...against.map(([titled]) => titled), wide, html("div", { class: "against" }, ...small.map(([part]) => part)));
    for (const [, draw] of against) draw();
    drawPoints(wide, TRIAL, goal, runs, steps(known));
    for (const [part, key] of small) drawPoints(part, keyColumn(key), goal, runs);
  }
  follow(draw);
  return element;
}
