// @ts-check
// The view of a whole sweep: it follows what the plugin answers and what the reader chooses.

import { drawChoices, drawCounts } from "./choices.js";
import { drawGrid } from "./drawgrid.js";
import { whenCome } from "./ends.js";
import { askSweep, Busy, Refusal } from "./fetching.js";
import { drawnJobs } from "./cell.js";
import { html } from "./elements.js";
import { firstChoice } from "./grouping.js";
import { buildGrid, follow } from "./multiples.js";
import { page } from "./page.js";
import { asked } from "./profiles.js";
import { MOST_RUNS, select, state } from "./state.js";
import { hideTip } from "./tip.js";

/** @typedef {import("./grouping.js").Group} Group */

const TOGETHER_MS = 80; // What comes within this time is drawn at once.
let pending = false;

let showRuns = () => {};

/** Draws what has been loaded, soon. */
function redraw() {
  if (pending) return;
  pending = true;
  setTimeout(() => {
    pending = false;
    drawGrid();
    drawCounts();
  }, TOGETHER_MS);
}

/** @param {Group} group */
function open(group) {
  const runs = drawnJobs(group).flatMap(({ run }) => (run === null ? [] : [run]));
  if (!runs.length) return;
  hideTip();
  state.selected.clear();
  for (const run of runs.slice(0, MOST_RUNS)) select(run);
  state.step = asked.end ? null : 0;
  showRuns();
}

/** Draws the whole view. */
function build() {
  const { error } = asked;
  hideTip();
  page.grid.hidden = page.caption.hidden = Boolean(error);
  page.refused.replaceChildren(...(error ? [html("p", { class: "notice" }, `The file sweep.yaml of ${asked.sweep} ${error}`)] : []));
  drawChoices();
  buildGrid(open, redraw);
  drawGrid();
  drawCounts();
}

/** Asks for the jobs of the chosen sweep, if the view is seen. */
export async function refreshSweep() {
  if (state.shown !== "sweep" || !state.sweeps.length) return;
  const known = state.sweeps.some(({ name }) => name === asked.sweep);
  if (!known) Object.assign(asked, { sweep: state.sweeps[0].name, jobs: null });
  const { sweep, jobs, error } = asked;
  try {
    const answer = await askSweep(sweep);
    if (sweep !== asked.sweep) return;
    if (!jobs) Object.assign(asked, firstChoice(answer.jobs));
    Object.assign(asked, { jobs: answer.jobs, error: null });
  } catch (refused) {
    if (refused instanceof Busy || sweep !== asked.sweep) return;
    if (!(refused instanceof Refusal)) throw refused;
    Object.assign(asked, { jobs: null, error: refused.message });
  }
  if (error !== asked.error || JSON.stringify(jobs) !== JSON.stringify(asked.jobs)) build();
  else follow();
}

/**
 * Makes the view answer its reader and its size.
 * @param {() => void} show is called when the runs of a cell have been selected
 */
export function listenToSweep(show) {
  showRuns = show;
  whenCome(redraw);
  page.sweep.addEventListener("change", () => {
    Object.assign(asked, { sweep: page.sweep.value, jobs: null });
    refreshSweep().catch(() => {}); // The next look for news asks again.
  });
  /** @type {(rows: string, columns: string) => void} */
  const group = (rows, columns) => {
    // A key that stands for both changes places with the other.
    const [before, same] = [{ rows: asked.rows, columns: asked.columns }, rows !== "" && rows === columns];
    Object.assign(asked, same ? { rows: before.columns, columns: before.rows } : { rows, columns });
    build();
  };
  page.rows.addEventListener("change", () => group(page.rows.value, asked.columns));
  page.columns.addEventListener("change", () => group(asked.rows, page.columns.value));
  page.ends.addEventListener("change", ({ target }) => { asked.end = target instanceof HTMLInputElement && target.value === "end"; redraw(); });
  page.values.addEventListener("change", ({ target }) => {
    state.relative = target instanceof HTMLInputElement && target.value === "relative";
    redraw();
  });
  new ResizeObserver(() => { if (page.multiples.clientWidth && asked.jobs) build(); }).observe(page.multiples);
}
