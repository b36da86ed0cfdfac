// @ts-check
// The losses over the epochs, a line per group.

import { ticks, whole } from "../../dashboard/static/numbers.js";
import { makeScale } from "../../dashboard/static/scales.js";
import { follow, shown } from "./chosen.js";
import { report } from "./data.js";
import { groups } from "./groups.js";
import { drawLines } from "./linechart.js";
import { empty, section, select } from "./parts.js";
import { summary } from "./statistics.js";

/** @typedef {import("./data.js").Loss} Loss */
/** @typedef {import("./groups.js").Group} Group */

/** @type {Record<Loss, string>} */
const TITLES = { "val/loss": "validation loss", "train/loss_epoch": "training loss, mean of the epoch" };
const offered = /** @type {Loss[]} */ (Object.keys(TITLES)).filter((name) => report.runs.some((run) => run.curves.has(name)));
const DECADE = 10;
const asked = { loss: offered[0] ?? "val/loss", scale: "auto" };

/**
 * The mean over the runs of a group at each of their epochs.
 * @param {Group} group
 */
function series({ name, colour, runs }) {
  /** @type {Map<number, number[]>} */
  const at = new Map();
  for (const run of runs) {
    const curve = run.curves.get(asked.loss);
    for (const [index, epoch] of curve?.epochs.entries() ?? []) at.set(epoch, [...(at.get(epoch) ?? []), curve?.values[index] ?? NaN]);
  }
  const xs = [...at.keys()].sort((a, b) => a - b);
  return { name, colour, xs, points: xs.map((epoch) => summary(at.get(epoch) ?? [], false)), theory: null };
}

export function drawCurves() {
  const scales = [["auto", "as fits"], ["linear", "linear"], ["log", "logarithmic"]].map(([value, title]) => ({ value, title }));
  const { element, note, place } = section("curves", "Loss over epochs",
    select("Loss", offered.map((value) => ({ value, title: TITLES[value] })), asked.loss, (value) => {
      asked.loss = /** @type {Loss} */ (value);
      draw();
    }),
    select("Scale", scales, asked.scale, (value) => { asked.scale = value; draw(); }));
  function draw() {
    const drawn = groups().map(series).filter(({ xs }) => xs.length);
    const values = drawn.flatMap(({ points }) => points.flatMap(({ low, high }) => [low, high])).filter(Number.isFinite);
    note.textContent = shown().length > drawn.length ? "mean, and from lowest to highest run" : "";
    if (!values.length) {
      place.replaceChildren(empty(drawn.length ? "This loss was never finite." : "No run that is shown has logged this loss yet."));
      return;
    }
    const log = asked.scale === "log" || (asked.scale === "auto" && Math.min(...values) > 0 && Math.max(...values) > DECADE * Math.min(...values));
    const epochs = drawn.flatMap(({ xs }) => xs);
    const [low, high] = [Math.min(...epochs), Math.max(...epochs)];
    drawLines(place, {
      label: `${TITLES[asked.loss]} over epochs`, title: "epoch", scale: makeScale(log ? "log" : "interval", values), series: drawn,
      xTicks: ticks(low, high > low ? high : low + 1, 8, 1).map((epoch) => [epoch, whole(epoch)]),
      dots: false, place: (epoch) => `epoch ${whole(epoch)}`,
    });
  }
  follow(draw);
  return element;
}
