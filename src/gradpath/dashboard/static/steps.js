// @ts-check
// The chosen step: the slider, the marks on the heat maps, and the profile.

import { html } from "./elements.js";
import { last, whole } from "./numbers.js";
import { page } from "./page.js";
import { drawProfile } from "./profile.js";
import { state } from "./state.js";
import { allSteps, columnOf, drawn, lastUpTo } from "./views.js";

/**
 * Chooses a step. The newest one is followed from then on.
 * @param {number} step
 */
export function goTo(step) {
  state.step = step >= last(allSteps()) ? null : step;
  drawSteps();
}

/** Draws what depends on the step. */
export function drawSteps() {
  if (!drawn.views.length) return;
  const steps = allSteps();
  if (state.step !== null && state.step > last(steps)) state.step = null;
  const index = state.step === null ? steps.length - 1 : lastUpTo(steps, state.step);
  page.slider.max = String(steps.length - 1);
  page.slider.value = String(index);
  const step = steps[index];
  page.slider.setAttribute("aria-valuetext", `step ${step}`);
  const place = state.step === null ? " (newest)" : ` of ${whole(last(steps))}`;
  page.readout.replaceChildren("step ", html("b", {}, whole(step)), html("span", { class: "soft" }, place));
  for (const view of drawn.views) view.mark(view.steps[columnOf(view)]);
  drawProfile(step);
}
