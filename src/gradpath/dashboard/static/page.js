// @ts-check
// The elements that stay.

import { html } from "./elements.js";
import { tip } from "./tip.js";

/**
 * One of some choices, of which all are seen.
 * @param {string} name
 * @param {string} value
 * @param {string} label
 * @param {string} [title]
 */
const radio = (name, value, label, title) =>
  html("label", { title }, html("input", { type: "radio", name, value }), label);

/** @param {string} label */
const list = (label) => html("select", { "aria-label": label });

/**
 * @param {string} label
 * @param {Node} choice
 */
const field = (label, choice) => html("div", { class: "field" }, html("span", {}, label), choice);

const kept = {
  shown: html("fieldset", { id: "shown", "aria-label": "View", hidden: true },
    radio("shown", "runs", "Runs"), radio("shown", "sweep", "Sweep")),
  filter: html("input", { type: "search", placeholder: "Filter", "aria-label": "Filter runs by words in their names" }),
  runs: html("ul", { id: "runs" }),
  status: html("p", { id: "status", class: "soft", role: "status" }, "Looking for records …"),
  quantity: html("select", { id: "quantity", "aria-label": "Quantity" }),
  modes: html("fieldset", { id: "mode", "aria-label": "Values" },
    radio("mode", "relative", "Relative to last hidden layer"), radio("mode", "absolute", "Absolute")),
  branches: html("input", { type: "checkbox", id: "branches" }),
  colours: html("div", { id: "colours" }),
  panels: html("div", { id: "panels" }),
  slider: html("input", { type: "range", id: "step", min: 0, step: 1, "aria-label": "Step" }),
  readout: html("output", { id: "readout", for: "step" }),
  ordinate: html("span", { class: "soft" }),
  legend: html("div", { class: "legend" }),
  chart: html("div", { id: "profile" }),
  findings: html("div", { id: "findings" }),
};
const ofSweep = {
  sweep: list("Sweep"),
  rows: list("Rows"),
  columns: list("Columns"),
  ends: html("fieldset", { "aria-label": "Step" }, radio("end", "start", "First"), radio("end", "end", "Last")),
  values: html("fieldset", { "aria-label": "Values of the sweep" },
    radio("values", "relative", "Relative", "Relative to the last hidden layer"), radio("values", "absolute", "Absolute")),
  counts: html("div", { id: "counts" }),
  remarks: html("div", { id: "remarks", class: "soft" }),
  refused: html("div"),
  caption: html("p", { id: "caption" }),
  grid: html("div", { id: "grid" }),
};
const chooser = html("label", { class: "field" }, html("span", {}, "Quantity"), kept.quantity);
const withBranches = html("label", { class: "branches", hidden: true, title: "Layers beside the way of the gradient" },
  kept.branches, "Branches");
const controls = html("div", { class: "controls", hidden: true }, chooser, kept.modes, withBranches, kept.colours);
const stepper = html("div", { class: "stepper", hidden: true },
  html("label", { for: "step" }, "Step"), kept.slider, kept.readout);
const below = html("div", { class: "below", hidden: true },
  html("section", {}, html("h2", {}, "Profile over depth", kept.ordinate), kept.legend, kept.chart),
  html("section", {}, html("h2", {}, "Findings"), kept.findings));
const main = html("main", {}, controls, kept.panels, stepper, below);

const runsSide = html("section", { class: "part" }, html("h2", {}, "Runs"), kept.filter, kept.runs);
const sweepSide = html("section", { class: "part", hidden: true },
  field("Sweep", ofSweep.sweep), field("Rows", ofSweep.rows), field("Columns", ofSweep.columns),
  field("Measured step", ofSweep.ends), field("|δ|", ofSweep.values), ofSweep.counts, ofSweep.remarks);
const multiples = html("main", { id: "multiples", hidden: true }, ofSweep.refused, ofSweep.caption, ofSweep.grid);

export const page = { ...kept, ...ofSweep, withBranches, controls, stepper, below, main, runsSide, sweepSide, multiples };

/** Whether there is room for more beside each other. */
export const isWide = () => page.main.clientWidth > 1500;

/** The height that the heat map and the profile share, so that both are seen at once. */
export const spare = () => window.innerHeight - 376;

/** Puts the elements into the document. */
export function build() {
  document.body.replaceChildren(html("aside", {}, page.shown, runsSide, sweepSide, page.status), main, multiples, tip);
}
