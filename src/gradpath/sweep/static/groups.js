// @ts-check
// Runs that are drawn as one, and their colours.

import { RUN_COLOURS, SEQUENTIAL, tone } from "../../dashboard/static/colours.js";
import { html } from "../../dashboard/static/elements.js";
import { grouped } from "../../dashboard/static/grouped.js";
import { ALL, CONFIGURATION, chosen, shown } from "./chosen.js";
import { report } from "./data.js";
import { share, sharesOf } from "./shares.js";

/** @typedef {import("./data.js").Run} Run */
/** @typedef {{name: string, colour: string, runs: Run[]}} Group */

/** The keys by which runs are grouped. */
const keys = () => (chosen.group === ALL ? CONFIGURATION : chosen.group ? [chosen.group] : []);

/** @param {Run} run */
export const groupOf = (run) => keys().map((key) => share(run, key)).join(" · ") || "all runs";

/** The names of all groups, so that a group keeps its colour whatever is left out. */
function names() {
  const found = [...new Set(report.runs.map(groupOf))];
  const order = keys().length === 1 ? sharesOf(keys()[0]) : found;
  return order.filter((name) => found.includes(name));
}

/**
 * A colour for each of a number of groups: some that are told apart at once, or steps of a scale.
 * @param {number} at
 * @param {number} count
 */
const colour = (at, count) => (count <= RUN_COLOURS.length ? RUN_COLOURS[at]
  : `rgb(${tone(SEQUENTIAL, 0.05 + (0.87 * at) / (count - 1)).join(" ")})`);

/** @returns {Group[]} the groups of the runs that are shown */
export function groups() {
  const all = names();
  const runs = grouped(shown(), groupOf);
  return all
    .map((name, at) => ({ name, colour: colour(at, all.length), runs: runs.get(name) ?? [] }))
    .filter((group) => group.runs.length);
}

/** @returns {Map<Run, string>} */
export const colours = () => new Map(groups().flatMap((group) => group.runs.map((run) => [run, group.colour])));

/**
 * What the colours mean.
 * @param {{name: string, colour: string}[]} entries
 * @param {Node[]} others
 */
export const legend = (entries, ...others) => html("div", { class: "legend" },
  ...entries.map((entry) => html("span", {}, html("i", { style: `border-color: ${entry.colour}` }), entry.name)), ...others);
