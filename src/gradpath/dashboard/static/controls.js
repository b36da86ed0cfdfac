// @ts-check
// The choice of a quantity, and the colour scale beside it.

import { colourBar } from "./colourbar.js";
import { html } from "./elements.js";
import { quantities } from "./fetching.js";
import { isWide, page } from "./page.js";
import { QUANTITIES } from "./quantities.js";
import { state } from "./state.js";
import { allValues, drawn } from "./views.js";

/** Draws the controls above the panels. */
export function drawControls() {
  page.controls.hidden = ![...state.selected.values()].some((entry) => entry.record);
  page.quantity.replaceChildren(...quantities().map((value) =>
    html("option", { value, selected: value === state.quantity }, QUANTITIES.get(value)?.title ?? value)));
  page.modes.disabled = !drawn.what.log;
  page.withBranches.hidden = ![...state.selected.values()].some((entry) => entry.record?.way);
  page.branches.checked = state.branches;
  for (const input of page.modes.querySelectorAll("input")) input.checked = (input.value === "relative") === state.relative;
  const bar = drawn.views.length ? colourBar(drawn.colourScale, drawn.what.axis, allValues(false), isWide() ? 300 : 220) : [];
  page.colours.replaceChildren(...bar);
}
