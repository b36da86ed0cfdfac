// @ts-check
// What is drawn into the small multiples: all cells on one scale, with its marks at the sides and the layers below.

import { makePlane } from "./axes.js";
import { acrossOf, drawProfiles, said } from "./cell.js";
import { html, svg, textWidth } from "./elements.js";
import { axisLayers } from "./layers.js";
import { thinned } from "./numbers.js";
import { grid } from "./multiples.js";
import { page } from "./page.js";
import { asked, profileOf } from "./profiles.js";
import { makeScale, scaleTicks } from "./scales.js";
import { state } from "./state.js";

const ROOM = 42; // pixels for the marks of the scale

/** Draws the cells in sight. */
export function drawGrid() {
  const first = grid.cells[0]?.parts.plot;
  if (!first) return;
  const profiles = grid.cells.flatMap(({ group }) => group.jobs.map(profileOf)).filter(({ values }) => values);
  const scale = makeScale(state.relative ? "ratio" : "log", profiles.flatMap(({ values, theory }) => [...(values ?? []), ...(theory ?? [])]));
  const ticks = scaleTicks(scale, 4);
  const networks = [...new Map(profiles.map(({ layers }) => [layers.join("\n"), layers])).values()];
  const depth = Math.max(1, ...networks.map((layers) => layers.length));
  const [width, height] = [first.clientWidth, first.clientHeight];
  const frame = { scale, marks: ticks.map(([at]) => at), depth, width, height };
  for (const { group, title, button, parts, seen } of grid.cells) {
    if (!seen) continue;
    const { words, style, count, keys, brief } = said(group);
    parts.kind.className = `class ${style}`;
    parts.kind.textContent = words;
    parts.count.textContent = count;
    parts.keys.textContent = brief;
    button.dataset.class = style;
    button.setAttribute("aria-label", [`${title}: ${words}`, `${count}${keys && ` (${keys})`}`].filter(Boolean).join(", "));
    parts.plot.replaceChildren(...(profiles.length ? [drawProfiles(group, frame)] : []));
  }
  const { level } = makePlane({ left: 0, top: 1, width: ROOM, height: height - 2 }, scale);
  const written = thinned(ticks.length, ticks.length > 1 ? level(ticks[0][0]) - level(ticks[1][0]) : height, 12).map((index) => ticks[index]);
  for (const side of grid.sides) {
    const marks = svg("svg", { width: ROOM, height, "aria-hidden": "true" }, ...written.map(([at, label]) =>
      svg("text", { x: ROOM - 6, y: Math.min(height - 1, Math.max(9, level(at) + 4)), "text-anchor": "end" }, label)));
    side.replaceChildren(html("span", {}, side.dataset.short), ...(profiles.length ? [marks] : []));
  }
  drawFeet(networks, depth, width);
  const axis = state.relative ? "|δ| relative to the last hidden layer" : "|δ|, root mean square over samples";
  page.caption.replaceChildren(html("b", {}, asked.columns ? `${axis}, by ${asked.columns}${asked.rows ? ` and ${asked.rows}` : ""}` : axis),
    html("span", { class: "soft" }, asked.end ? "last measured step" : "first measured step"),
    ...(profiles.some(({ theory }) => theory) ? [html("span", { class: "soft" }, html("i"), "theory at step 0")] : []));
}

/**
 * The names of the layers below each column.
 * @param {string[][]} networks
 * @param {number} depth
 * @param {number} width
 */
function drawFeet(networks, depth, width) {
  if (!networks.length) return;
  const [title, names] = axisLayers(networks);
  const across = acrossOf(depth, width);
  const room = Math.max(...names.map(textWidth)) + 8;
  const shown = thinned(names.length, (width - 14) / Math.max(1, depth - 1), room);
  for (const foot of grid.feet) {
    foot.replaceChildren(svg("svg", { width, height: 14, "aria-hidden": "true" }, ...shown.map((layer) =>
      svg("text", { x: across(layer), y: 11, "text-anchor": layer === 0 ? "start" : layer === depth - 1 ? "end" : "middle" }, names[layer]))));
  }
  grid.title.textContent = title;
}
