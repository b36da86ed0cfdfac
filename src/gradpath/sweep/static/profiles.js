// @ts-check
// The gradient over depth, a line per group, with what theory predicts for it.

import { html } from "../../dashboard/static/elements.js";
import { grouped } from "../../dashboard/static/grouped.js";
import { axisLayers } from "../../dashboard/static/layers.js";
import { last, thinned } from "../../dashboard/static/numbers.js";
import { makeScale } from "../../dashboard/static/scales.js";
import { follow } from "./chosen.js";
import { report } from "./data.js";
import { groups, legend } from "./groups.js";
import { drawLines } from "./linechart.js";
import { empty, section, select } from "./parts.js";
import { pointwise } from "./statistics.js";

/** @typedef {import("./data.js").Part} Part */
/** @typedef {import("./data.js").Run} Run */
/** @typedef {import("./groups.js").Group} Group */

/** So many lines are named beside the picture. */
const NAMED = 12;
const asked = { part: /** @type {Part} */ ("profile") };

/** @param {Run} run */
const depth = (run) => (run.layers.length ? last(run.layers)[0] : 0);

/**
 * A line for the runs of a group. Networks of other depths have lines of their own.
 * @param {Group} group
 */
function series({ name, colour, runs }) {
  const drawn = runs.filter((run) => run.layers.length && run.parts[asked.part]);
  const byLayers = grouped(drawn, (run) => String(depth(run)));
  return [...byLayers.entries()].map(([count, members]) => {
    const values = pointwise(members.map((run) => run.parts[asked.part] ?? []), true);
    const predicted = members.flatMap(({ parts }) => (parts.theory ? [parts.theory] : []));
    const theory = asked.part === "profile" && predicted.length ? pointwise(predicted, true).map(({ mean }) => mean) : null;
    const title = byLayers.size > 1 ? `${name}, ${count} layers` : name;
    return { name: title, colour, xs: members[0].layers.map(([place]) => place), points: values, theory, runs: members };
  });
}

/**
 * Names of the layers at some of their places.
 * @param {Run[]} runs
 * @param {number} width
 * @returns {[title: string, ticks: [number, string][]]}
 */
function names(runs, width) {
  const deepest = runs.reduce((best, run) => (depth(run) > depth(best) ? run : best));
  const [title, words] = axisLayers(runs.map(({ layers }) => layers.map(([, name]) => name)));
  const count = deepest.layers.length;
  const room = Math.max(...words.map((word) => 7 * word.length)) + 8;
  return [title, thinned(count, width / Math.max(1, count - 1), room).map((index) =>
    [deepest.layers[index][0], words.length === count ? words[index] : String(deepest.layers[index][0])])];
}

/** What a line looks like: lines of the same values cannot be told apart.
 * @param {ReturnType<typeof series>[number]} line
 */
const path = ({ xs, points }) => JSON.stringify([xs, points.map(({ mean }) => mean.toPrecision(3))]);

export function drawProfiles() {
  const ends = report.runs.some((run) => run.parts.profile_end);
  const options = [{ value: "profile", title: "at the start" }, ...(ends ? [{ value: "profile_end", title: "at the end" }] : [])];
  const { element, note, key, place } = section("profiles", "Gradient over depth",
    select("When", options, asked.part, (value) => { asked.part = /** @type {Part} */ (value); draw(); }));
  function draw() {
    const drawn = groups().flatMap(series);
    key.replaceChildren();
    if (!drawn.length) {
      place.replaceChildren(empty("No run that is shown has a profile."));
      return;
    }
    const values = drawn.flatMap(({ points, theory }) => [...points.flatMap(({ low, high }) => [low, high]), ...(theory ?? [])]);
    const [title, xTicks] = names(drawn.flatMap(({ runs }) => runs), place.clientWidth - 80);
    note.textContent = "|δ| relative to the last hidden layer";
    const covered = drawn.length - new Set(drawn.map(path)).size;
    if (covered) note.textContent += `; ${covered} of ${drawn.length} lines lie under others of the same values`;
    const dashed = drawn.some(({ theory }) => theory) ? [html("span", {}, html("i", { class: "dashed" }), "theory at step 0")] : [];
    key.replaceChildren(legend(drawn.length > 1 && drawn.length <= NAMED ? drawn : [], ...dashed));
    drawLines(place, {
      label: "The gradient over depth, relative to the last hidden layer", title, xTicks, scale: makeScale("ratio", values),
      series: drawn, dots: Math.max(...drawn.map(({ xs }) => xs.length)) <= 30, place: (layer) => `layer ${layer}`,
    });
  }
  follow(draw);
  return element;
}
