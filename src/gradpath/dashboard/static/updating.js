// @ts-check
// The page follows what the plugin answers and what the reader chooses.

import { drawControls } from "./controls.js";
import { askRuns, load } from "./fetching.js";
import { drawFindings } from "./findings.js";
import { page } from "./page.js";
import { drawPanels } from "./panels.js";
import { drawRuns, markRuns } from "./runs.js";
import { select, sharedFolders, state } from "./state.js";
import { drawSteps, goTo } from "./steps.js";
import { allSteps, drawn, makeViews } from "./views.js";

const POLL_MS = 5000;
const NO_ANSWER = "TensorBoard does not answer. Trying again.";

/** Draws all but the list of runs. */
function draw() {
  if (!state.runs) return;
  makeViews();
  page.stepper.hidden = page.below.hidden = !drawn.views.length;
  drawControls();
  drawPanels();
  drawFindings();
  drawSteps();
}

async function refresh() {
  const { runs, folders } = await askRuns();
  const names = new Set(runs.map((run) => run.name));
  const changed = !state.runs || state.runs.length !== runs.length || state.runs.some((run) => !names.has(run.name));
  const first = !state.runs?.length && runs.length > 0;
  Object.assign(state, { runs, folders, shared: changed ? sharedFolders(runs) : state.shared });
  for (const name of [...state.selected.keys()]) if (!names.has(name)) state.selected.delete(name);
  if (first) for (const { name } of runs.slice(0, 2)) select(name);
  if (changed) drawRuns(change);
  if ((await load()) || changed) draw();
}

/** Looks for news, and goes on looking. */
export async function poll() {
  try {
    // A frame behind another tab has no width: nobody is looking.
    if (window.innerWidth > 0) await refresh();
    page.status.textContent = `Looks for news every ${POLL_MS / 1000} s.`;
  } catch {
    page.status.textContent = NO_ANSWER;
  }
  setTimeout(poll, POLL_MS);
}

/**
 * Changes the state, loads what it needs and draws it.
 * @param {() => void} action
 */
async function change(action) {
  action();
  markRuns();
  try {
    await load();
  } catch {
    page.status.textContent = NO_ANSWER;
  }
  draw();
}

/** Makes the page answer its reader and its size. */
export function listen() {
  page.filter.addEventListener("input", () => {
    state.filter = page.filter.value;
    drawRuns(change);
  });
  page.quantity.addEventListener("change", () => change(() => { state.quantity = page.quantity.value; }));
  page.modes.addEventListener("change", ({ target }) => change(() => {
    state.relative = target instanceof HTMLInputElement && target.value === "relative";
  }));
  page.slider.addEventListener("input", () => goTo(allSteps()[Number(page.slider.value)]));
  let width = 0;
  new ResizeObserver(() => {
    if (page.main.clientWidth && page.main.clientWidth !== width) draw();
    width = page.main.clientWidth;
  }).observe(page.main);
}
