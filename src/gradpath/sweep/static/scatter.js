// @ts-check
// Two numbers of every run against each other.

import { grid, makePlane, margin, spaced } from "../../dashboard/static/axes.js";
import { swatch } from "../../dashboard/static/colours.js";
import { html, svg } from "../../dashboard/static/elements.js";
import { makeScale, scaleTicks } from "../../dashboard/static/scales.js";
import { follow, shown } from "./chosen.js";
import { columnOf, figure, MEASURED, NUMERIC } from "./columns.js";
import { report } from "./data.js";
import { openRuns } from "./drawer.js";
import { colours, groupOf } from "./groups.js";
import { empty, section, select } from "./parts.js";
import { walkable } from "./walking.js";

/** @typedef {import("./columns.js").Column} Column */
/** @typedef {import("./data.js").Run} Run */
/** Where runs lie in a picture. @typedef {{across: (run: Run) => number, up: (value: number) => number}} Placed */

const HEIGHT = 260;
const [RIGHT, TOP, BOTTOM] = [16, 6, 36];
const goals = report.search?.objectives.map(({ column }) => column) ?? [];
const has = (/** @type {string} */ name) => NUMERIC.some((column) => column.name === name);
const up = [...goals, "test/accuracy", "test/loss", "val/loss"].find(has) ?? NUMERIC[1]?.name ?? NUMERIC[0]?.name ?? "";
// Two different numbers, if there are two.
const asked = { x: ["ratio", ...NUMERIC.map(({ name }) => name)].find((name) => has(name) && name !== up) ?? up, y: up };

/**
 * Draws a point per run. Returns how many have a place.
 * @param {HTMLElement} parent
 * @param {Column} x
 * @param {Column} y
 * @param {Run[]} runs
 * @param {(placed: Placed) => SVGElement} [under] what is drawn under the points
 */
export function drawPoints(parent, x, y, runs, under) {
  const [xScale, yScale] = [x, y].map((column) => makeScale(column.kind, runs.map(column.value), column.most));
  const yTicks = scaleTicks(yScale, 6, y.whole);
  const left = margin(yTicks);
  const plane = makePlane({ left, top: TOP, width: Math.max(80, parent.clientWidth - left - RIGHT), height: HEIGHT }, yScale);
  /** @param {number} at a place on the scale */
  const along = (at) => left + 8 + ((at - xScale.low) / (xScale.high - xScale.low)) * (plane.width - 16);
  const colourOf = colours();
  const points = runs
    .filter((run) => xScale.special(x.value(run)) === null && yScale.special(y.value(run)) === null)
    .map((run) => ({ run, x: along(xScale.place(x.value(run))), y: plane.up(y.value(run)) }))
    .sort((a, b) => a.x - b.x || b.y - a.y);
  const ring = svg("circle", { class: "ring", r: 7, visibility: "hidden" });
  const drawing = svg("svg", {
    width: parent.clientWidth, height: HEIGHT + TOP + BOTTOM, role: "img",
    "aria-label": `${y.title} against ${x.title}, a point per run. Arrow keys move through the runs, Enter opens one.`,
  },
    ...grid(plane, yTicks),
    ...spaced(x.ticks ?? scaleTicks(xScale, Math.max(3, Math.floor(plane.width / 60)), x.whole), along).map(([at, label]) =>
      svg("text", { x: along(at), y: TOP + HEIGHT + 15, "text-anchor": "middle" }, label)),
    svg("text", { class: "title", x: left + plane.width / 2, y: TOP + HEIGHT + 31, "text-anchor": "middle" }, x.title),
    ...(under ? [under({ across: (run) => along(xScale.place(x.value(run))), up: plane.up })] : []),
    ...points.map((point) => svg("circle", { class: point.run.front ? "dot front" : "dot", cx: point.x, cy: point.y, r: points.length > 300 ? 3 : 4.5, fill: colourOf.get(point.run), "data-job": point.run.job })),
    ring);
  walkable(drawing, {
    count: points.length,
    nearest: (px, py) => {
      const apart = points.map((point) => Math.hypot(point.x - px, point.y - py));
      const best = apart.indexOf(Math.min(...apart));
      return apart[best] < 24 ? best : -1;
    },
    say: (item) => {
      const { run, ...at } = points[item];
      for (const [name, value] of [["cx", at.x], ["cy", at.y], ["visibility", "visible"]]) ring.setAttribute(String(name), String(value));
      const group = html("div", {}, swatch(colourOf.get(run) ?? ""), groupOf(run));
      return { ...at, lines: [html("b", {}, run.job), group, ...(run.front ? [html("div", {}, "on the front")] : []), ...[x, y].map((column) => html("div", {}, `${column.title} ${column.said?.(run) ?? figure(column.value(run))}`))] };
    },
    open: (item) => openRuns(points[item].run.job, [points[item].run]),
  });
  parent.replaceChildren(drawing);
  return points.length;
}

export function drawScatter() {
  const options = NUMERIC.map(({ name, title }) => ({ value: name, title }));
  const { element, note, place } = section("scatter", "One number against another",
    select("Across", options, asked.x, (value) => { asked.x = value; draw(); }),
    select("Up", options, asked.y, (value) => { asked.y = value; draw(); }));
  function draw() {
    const runs = shown();
    if (!MEASURED.length || !runs.length) {
      place.replaceChildren(empty("No run that is shown has numbers yet."));
      return;
    }
    const [x, y] = [columnOf(asked.x), columnOf(asked.y)];
    const left = runs.length - drawPoints(place, x, y, runs);
    note.textContent = `${y.title}${left ? `; ${left} ${left === 1 ? "run" : "runs"} without` : ""}`;
  }
  follow(draw);
  return element;
}
