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
import { listenToSweep, refreshSweep } from "./sweepview.js";
import { allSteps, drawn, makeViews } from "./views.js";

const POLL_MS = 5000;
const NO_ANSWER = "TensorBoard does not answer. Trying again.";

/** Draws all but the list of runs. */
function draw() {
  if (!state.runs || state.shown !== "runs") return;
  makeViews();
  page.stepper.hidden = page.below.hidden = !drawn.views.length;
  drawControls();
  drawPanels();
  drawFindings();
  drawSteps();
}

/**
 * Shows chosen runs, or a sweep. What is not seen is not drawn.
 * @param {import("./state.js").Shown} shown
 */
function show(shown) {
  state.shown = shown;
  page.runsSide.hidden = page.main.hidden = shown !== "runs";
  page.sweepSide.hidden = page.multiples.hidden = shown !== "sweep";
  for (const input of page.shown.querySelectorAll("input")) input.checked = input.value === shown;
}

async function refresh() {
  const { runs, sweeps, folders } = await askRuns();
  const names = new Set(runs.map((run) => run.name));
  const changed = !state.runs || state.runs.length !== runs.length || state.runs.some((run) => !names.has(run.name));
  const first = !state.runs?.length && runs.length > 0;
  Object.assign(state, { runs, sweeps, folders, shared: changed ? sharedFolders(runs) : state.shared });
  for (const name of [...state.selected.keys()]) if (!names.has(name)) state.selected.delete(name);
  if (first) for (const { name } of runs.slice(0, 2)) select(name);
  if (changed) drawRuns(change);
  page.shown.hidden = !sweeps.length;
  if (!sweeps.length && state.shown === "sweep") show("runs");
  if ((await load()) || changed) draw();
  await refreshSweep();
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
  show("runs");
  page.shown.addEventListener("change", ({ target }) => change(() => {
    show(target instanceof HTMLInputElement && target.value === "sweep" ? "sweep" : "runs");
  }).then(refreshSweep).catch(() => {})); // The next look for news asks again.
  listenToSweep(() => {
    change(() => show("runs"));
    page.shown.querySelector("input")?.focus();
  });
  page.filter.addEventListener("input", () => {
    state.filter = page.filter.value;
    drawRuns(change);
  });
  page.quantity.addEventListener("change", () => change(() => { state.quantity = page.quantity.value; }));
  page.modes.addEventListener("change", ({ target }) => change(() => {
    state.relative = target instanceof HTMLInputElement && target.value === "relative";
  }));
  page.branches.addEventListener("change", () => change(() => { state.branches = page.branches.checked; }));
  page.slider.addEventListener("input", () => goTo(allSteps()[Number(page.slider.value)]));
  let width = 0;
  new ResizeObserver(() => {
    if (page.main.clientWidth && page.main.clientWidth !== width) draw();
    width = page.main.clientWidth;
  }).observe(page.main);
}
