// @ts-check
// The elements that stay.

import { html } from "./elements.js";
import { tip } from "./tip.js";

/**
 * @param {string} value
 * @param {string} label
 */
const mode = (value, label) => html("label", {}, html("input", { type: "radio", name: "mode", value }), label);

const kept = {
  filter: html("input", { type: "search", placeholder: "Filter", "aria-label": "Filter runs by words in their names" }),
  runs: html("ul", { id: "runs" }),
  status: html("p", { id: "status", class: "soft", role: "status" }, "Looking for records …"),
  quantity: html("select", { id: "quantity", "aria-label": "Quantity" }),
  modes: html("fieldset", { id: "mode", "aria-label": "Values" },
    mode("relative", "Relative to last hidden layer"), mode("absolute", "Absolute")),
  colours: html("div", { id: "colours" }),
  panels: html("div", { id: "panels" }),
  slider: html("input", { type: "range", id: "step", min: 0, step: 1, "aria-label": "Step" }),
  readout: html("output", { id: "readout", for: "step" }),
  ordinate: html("span", { class: "soft" }),
  legend: html("div", { class: "legend" }),
  chart: html("div", { id: "profile" }),
  findings: html("div", { id: "findings" }),
};
const chooser = html("label", { class: "field" }, html("span", {}, "Quantity"), kept.quantity);
const controls = html("div", { class: "controls", hidden: true }, chooser, kept.modes, kept.colours);
const stepper = html("div", { class: "stepper", hidden: true },
  html("label", { for: "step" }, "Step"), kept.slider, kept.readout);
const below = html("div", { class: "below", hidden: true },
  html("section", {}, html("h2", {}, "Profile over depth", kept.ordinate), kept.legend, kept.chart),
  html("section", {}, html("h2", {}, "Findings"), kept.findings));
const main = html("main", {}, controls, kept.panels, stepper, below);

export const page = { ...kept, controls, stepper, below, main };

/** Whether there is room for more beside each other. */
export const isWide = () => page.main.clientWidth > 1500;

/** The height that the heat map and the profile share, so that both are seen at once. */
export const spare = () => window.innerHeight - 376;

/** Puts the elements into the document. */
export function build() {
  const side = html("aside", {}, html("h2", {}, "Runs"), page.filter, page.runs, page.status);
  document.body.replaceChildren(side, page.main, tip);
}
