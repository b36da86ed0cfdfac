// @ts-check
// The list of runs.

import { RUN_COLOURS } from "./colours.js";
import { html } from "./elements.js";
import { page } from "./page.js";
import { brief, MOST_RUNS, select, state } from "./state.js";

const runBoxes = () => [...page.runs.querySelectorAll("input")];

/**
 * Lists the runs that the filter leaves.
 * @param {(action: () => void) => void} change is called with what a click changes
 */
export function drawRuns(change) {
  if (!state.runs) return;
  const words = state.filter.toLowerCase().split(/\s+/);
  const wanted = state.runs.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
  const active = document.activeElement;
  const focused = active instanceof HTMLElement ? active.dataset.run : undefined;
  page.runs.replaceChildren(...wanted.map(({ name }) => {
    const box = html("input", { type: "checkbox", "data-run": name });
    box.addEventListener("change", () => change(() => {
      if (box.checked) select(name);
      else state.selected.delete(name);
    }));
    return html("li", {}, html("label", {}, box, html("span", {}, brief(name))));
  }));
  markRuns();
  runBoxes().find((box) => box.dataset.run === focused)?.focus();
}

/** Ticks the selected runs, and lets no more be selected than fit. */
export function markRuns() {
  const full = state.selected.size >= MOST_RUNS;
  for (const box of runBoxes()) {
    const name = box.dataset.run ?? "";
    const entry = state.selected.get(name);
    box.checked = Boolean(entry);
    box.disabled = full && !entry;
    const label = box.closest("label");
    if (label) label.title = box.disabled ? `At most ${MOST_RUNS} runs side by side` : name;
    box.style.setProperty("--run", entry ? RUN_COLOURS[entry.slot] : null);
  }
}
