// @ts-check
// A panel for each selected run.

import { RUN_COLOURS, swatch } from "./colours.js";
import { html } from "./elements.js";
import { drawHeatMap } from "./heatmap.js";
import { isWide, page } from "./page.js";
import { brief, loaded, state } from "./state.js";
import { drawVerdict } from "./verdict.js";
import { drawn } from "./views.js";

/** @typedef {import("./state.js").Entry} Entry */

/** Draws all panels with their heat maps. */
export function drawPanels() {
  const panels = new Map([...state.selected].map(([name, entry]) => [name, drawPanel(name, entry)]));
  page.panels.style.setProperty("--columns", String(columnCount()));
  page.panels.replaceChildren(...(panels.size ? panels.values() : [drawEmpty()]));
  for (const view of drawn.views) {
    const plot = panels.get(view.name)?.querySelector(".plot");
    if (plot instanceof HTMLElement) drawHeatMap(view, plot, Math.ceil(panels.size / columnCount()));
  }
}

/** How many panels are side by side. */
function columnCount() {
  const count = state.selected.size;
  if (count > 4) return isWide() ? 3 : 2;
  return Math.min(count, isWide() ? 4 : 2);
}

/** What to read where no run is selected. */
function drawEmpty() {
  if (state.runs?.length) return html("p", { class: "notice" }, "Choose a run on the left.");
  const where = state.folders.length ? ` in ${state.folders.join(", ")}` : "";
  return html("section", { class: "empty" },
    html("h1", {}, "No run here has recorded its gradient flow"),
    html("p", {}, "Train one with the standard probe:"),
    html("pre", {}, "python train.py probe=standard"),
    html("p", {}, "or record your own training loop:"),
    html("pre", {}, 'with probe(model, folder="logs/mine"):\n    ...  # train as you always do'),
    html("p", { class: "soft" }, `This page finds the record (flow.npz)${where} by itself, while the run goes on.`));
}

/**
 * @param {string} name
 * @param {Entry} entry
 */
function drawPanel(name, entry) {
  const { error } = entry;
  const record = loaded(entry);
  const title = html("h3", { title: name }, swatch(RUN_COLOURS[entry.slot]), html("b", {}, brief(name)));
  const header = html("header", {}, title);
  const panel = html("section", { class: "panel", "data-run": name }, header);
  /** @param {string} text */
  const notice = (text) => html("p", { class: "notice" }, text);
  if (!record) {
    panel.append(error ? notice(`The record of ${name} ${error}`) : html("p", { class: "soft" }, "Loading …"));
    return panel;
  }
  header.append(drawVerdict(record.verdict, record.verdict_refused));
  if (!record.steps.length) panel.append(notice("No step is measured yet."));
  else if (!record.values) panel.append(notice(`This run did not record: ${drawn.what.title}.`));
  else panel.append(html("div", { class: "plot" }));
  return panel;
}
