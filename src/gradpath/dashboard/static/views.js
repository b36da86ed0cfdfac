// @ts-check
// What is drawn of the selected runs: their values as chosen, and the scales that they share.

import { RUN_COLOURS } from "./colours.js";
import { shortened } from "./numbers.js";
import { QUANTITIES } from "./quantities.js";
import { relativeTo } from "./relative.js";
import { centred, makeScale, spanDecades } from "./scales.js";
import { loaded, state } from "./state.js";

/** @typedef {import("./scales.js").ScaleKind} ScaleKind */
/** @typedef {import("./state.js").Entry} Entry */
/** @typedef {import("./state.js").FlowRecord} FlowRecord */

/**
 * One run with values: T steps of L layers.
 * @typedef {object} View
 * @property {string} name
 * @property {string} colour
 * @property {boolean} relative whether the values are divided by those of the last hidden layer
 * @property {string[]} layers (L,)
 * @property {number[]} steps (T,)
 * @property {number} recorded
 * @property {number[][]} values (T, L), as drawn
 * @property {number[][]} measured (T, L), as recorded
 * @property {number[] | null} theory (L,)
 * @property {{kind: string, rows: number[][]}[]} bands each (2, L)
 * @property {number} layer the one that the keyboard has reached
 * @property {(step: number) => void} mark marks a step on the heat map
 */

/** @typedef {{title: string, log: boolean, kind: ScaleKind, axis: string}} Description */

/** One view per selected run with values, and what they share. `colourScale` leaves the theory out. */
export const drawn = {
  views: /** @type {View[]} */ ([]),
  what: /** @type {Description} */ ({ title: "", log: false, kind: "linear", axis: "" }),
  scale: makeScale("linear", []),
  colourScale: makeScale("linear", []),
};

/** Makes `drawn` follow `state`. */
export function makeViews() {
  drawn.views = [...state.selected].flatMap(([name, entry]) => {
    const record = loaded(entry);
    return record?.values && record.steps.length ? [makeView(name, entry.slot, record, record.values)] : [];
  });
  drawn.what = describe();
  drawn.scale = makeScale(drawn.what.kind, allValues(true));
  drawn.colourScale = centred(makeScale(drawn.what.kind, allValues(false)));
}

/**
 * @param {string} name
 * @param {number} slot
 * @param {FlowRecord} record
 * @param {number[][]} measured
 * @returns {View}
 */
function makeView(name, slot, record, measured) {
  const columns = columnsOf(record, measured);
  /** @template T @param {T[]} row @returns {T[]} */
  const pick = (row) => (columns ? columns.map((column) => row[column]) : row);
  measured = measured.map(pick);
  const relative = state.relative && isLog(measured);
  /** @param {number[]} row */
  const against = (row) => (relative ? relativeTo(row) : row);
  /** @type {(kind: string, rows: number[][] | null) => View["bands"]} */
  const band = (kind, rows) => (rows ? [{ kind, rows: rows.map((row) => against(pick(row))) }] : []);
  return {
    name, relative, measured, colour: RUN_COLOURS[slot], layers: pick(record.layers), steps: record.steps,
    recorded: record.recorded, values: measured.map(against), theory: record.theory && against(pick(record.theory)),
    bands: [...band("of-theory", record.theory_band), ...band("of-seeds", record.seeds_band)],
    layer: 0, mark: () => {},
  };
}

/**
 * The columns that are drawn of a network that branches: its way, unless branches are asked for, and of what only layers
 * have the layers. Null is all.
 * @param {FlowRecord} record
 * @param {number[][]} measured
 */
function columnsOf({ layers, way }, measured) {
  if (!way) return null;
  if (!state.branches && way.every((column) => measured.some((row) => !Number.isNaN(row[column])))) return way;
  const filled = layers.map((_, column) => column).filter((column) => measured.some((row) => !Number.isNaN(row[column])));
  return filled.length ? filled : null;
}

/**
 * Whether values are for a logarithm. An unknown quantity is, if it is nowhere negative and spans decades.
 * @param {number[][]} values
 */
function isLog(values) {
  const known = QUANTITIES.get(state.quantity);
  if (known) return known.scale === "log";
  return spanDecades(values.flat());
}

/** @returns {Description} */
function describe() {
  const known = QUANTITIES.get(state.quantity);
  const { title, symbol, unit } = known ?? { title: state.quantity, symbol: shortened(state.quantity, 40), unit: "" };
  const log = drawn.views.length > 0 && drawn.views.every((view) => isLog(view.measured));
  const relative = state.relative && log;
  const signed = drawn.views.some((view) => view.values.flat().some((value) => value < 0));
  return {
    title, log, kind: relative ? "ratio" : log ? "log" : known?.scale ?? (signed ? "signed" : "linear"),
    axis: relative ? `${symbol} relative to the last hidden layer` : unit ? `${symbol} (${unit})` : symbol,
  };
}

/** @param {boolean} theory whether the values of the theory are among them */
export function* allValues(theory) {
  for (const view of drawn.views) {
    for (const row of view.values) yield* row;
    if (theory && view.theory) yield* view.theory;
  }
}

/** The steps of all views, in order. */
export const allSteps = () => [...new Set(drawn.views.flatMap((view) => view.steps))].sort((a, b) => a - b);

/**
 * The index of the last step up to `step`, or 0.
 * @param {number[]} steps
 * @param {number} step
 */
export const lastUpTo = (steps, step) => Math.max(0, steps.findLastIndex((measured) => measured <= step));

/**
 * The row of the chosen step.
 * @param {View} view
 */
export const columnOf = (view) => (state.step === null ? view.steps.length - 1 : lastUpTo(view.steps, state.step));
