// @ts-check
// The profile: values over depth at the chosen step, beside the theory and other seeds.

import { abscissa, grid, makePlane, margin } from "./axes.js";
import { fill, html, svg, textWidth } from "./elements.js";
import { axisLayers } from "./layers.js";
import { area, curve, offScale } from "./lines.js";
import { clamp, thinned, whole } from "./numbers.js";
import { page, spare } from "./page.js";
import { scaleTicks } from "./scales.js";
import { brief } from "./state.js";
import { hideTip, showTip } from "./tip.js";
import { profileTip } from "./tooltip.js";
import { columnOf, drawn } from "./views.js";

/**
 * Draws the profile and its legend.
 * @param {number} step the chosen one
 */
export function drawProfile(step) {
  const { chart } = page;
  const { scale, views } = drawn;
  const [title, names] = axisLayers(views.map((view) => view.layers));
  const yTicks = scaleTicks(scale, 6);
  const [left, right, top, bottom] = [margin(yTicks), 16, 6, 36];
  const [width, height] = [Math.max(80, chart.clientWidth - left - right), clamp(0.45 * spare(), 160, 340)];
  const plane = makePlane({ left, top, width, height }, scale);
  /** @param {number} layer */
  const across = (layer) => left + (names.length === 1 ? width / 2 : 12 + (layer / (names.length - 1)) * (width - 24));
  const room = Math.max(...names.map(textWidth)) + 10;

  const curves = views.flatMap((view) => {
    const values = view.values[columnOf(view)];
    const dots = names.length > 60 ? [] : values.map((value, layer) => scale.special(value) === null
      ? svg("circle", { class: "dot", cx: across(layer), cy: plane.up(value), r: 3.5, fill: view.colour }) : null);
    return [
      ...view.bands.map(({ kind, rows }) =>
        svg("path", { class: `band ${kind}`, d: area(rows, plane, across), fill: view.colour })),
      view.theory ? svg("path", { class: "theory", d: curve(view.theory, plane, across), stroke: view.colour }) : null,
      svg("path", { class: "measured", "data-run": view.name, d: curve(values, plane, across), stroke: view.colour }),
      ...dots, ...values.map((value, layer) => offScale(scale.special(value), across(layer), plane, view.colour)),
    ];
  });
  const hair = svg("line", { class: "axis" });
  const drawing = svg("svg", {
    width: chart.clientWidth, height: height + top + bottom, role: "img",
    "aria-label": `${drawn.what.axis} over depth, ${page.readout.textContent}`,
  },
    ...grid(plane, yTicks),
    ...thinned(names.length, (width - 24) / Math.max(1, names.length - 1), room).map((layer) =>
      svg("text", { x: across(layer), y: top + height + 15, "text-anchor": "middle" }, names[layer])),
    abscissa(plane, title), hair, ...curves);
  drawing.addEventListener("pointermove", (event) => {
    const x = event.clientX - drawing.getBoundingClientRect().left;
    const layer = clamp(Math.round(((x - left - 12) / (width - 24)) * (names.length - 1)), 0, names.length - 1);
    fill(hair, { x1: across(layer), x2: across(layer), y1: top, y2: top + height }, []);
    showTip(event.clientX, event.clientY, profileTip(layer));
  });
  drawing.addEventListener("pointerleave", hideTip);
  page.ordinate.textContent = drawn.what.axis;
  chart.replaceChildren(drawing);
  drawLegend(step);
}

/** @param {number} chosen */
function drawLegend(chosen) {
  const runs = drawn.views.map((view) => {
    const step = view.steps[columnOf(view)];
    const own = step === chosen ? null : ` (step ${whole(step)})`;
    return html("span", {}, html("i", { style: `border-color: ${view.colour}` }), brief(view.name), own);
  });
  const theory = drawn.views.some((view) => view.theory);
  /** @param {string} kind */
  const shaded = (kind) => drawn.views.some((view) => view.bands.some((band) => band.kind === kind));
  const band = shaded("of-theory") ? ", band: 95 % of networks this wide" : "";
  page.legend.replaceChildren(...runs,
    theory ? html("span", {}, html("i", { class: "dashed" }), `theory at step 0${band}`) : "",
    shaded("of-seeds") ? html("span", {}, html("i", { class: "shaded" }), "other seeds at step 0") : "");
}
