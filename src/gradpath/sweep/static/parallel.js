// @ts-check
// Parallel coordinates: every run as a line across axes that are chosen.

import { html, svg, textWidth } from "../../dashboard/static/elements.js";
import { abridged, cut } from "../../dashboard/static/names.js";
import { clamp } from "../../dashboard/static/numbers.js";
import { makeScale, scaleTicks } from "../../dashboard/static/scales.js";
import { follow, shown } from "./chosen.js";
import { figure, NUMERIC, TICK } from "./columns.js";
import { choice, choicesOf, report, SHARED } from "./data.js";
import { openRuns } from "./drawer.js";
import { colours } from "./groups.js";
import { empty, section } from "./parts.js";
import { walkable } from "./walking.js";

/** @typedef {import("./data.js").Run} Run */
/** An axis: `at` is where a run lies on it, from 0 below to 1 above; null if nowhere.
 * @typedef {{name: string, title: string, at: (run: Run) => number | null, said: (run: Run) => string, ticks: [number, string][]}} Axis */

const HEIGHT = 260;
const [TOP, BOTTOM] = [26, 10];
/** The least room beside the outer axes, and between two: what does not fit scrolls. Words on an axis are as many at most. */
const [BESIDE, BETWEEN, WORDS] = [70, 90, 14];

/** @param {string} key @returns {Axis} */
function ofWords(key) {
  const values = choicesOf(key);
  /** @param {string} value */
  const place = (value) => (values.length > 1 ? values.indexOf(value) / (values.length - 1) : 0.5);
  const every = Math.ceil(values.length / WORDS);
  const short = abridged(values, TICK);
  const ticks = values.filter((_, index) => index % every === 0)
    .map((value) => /** @type {[number, string]} */ ([place(value), short.get(value) ?? value]));
  return { name: key, title: key, at: (run) => place(choice(run, key)), said: (run) => choice(run, key), ticks };
}

/** @param {import("./columns.js").Column} column @returns {Axis} */
function ofNumbers({ name, title, kind, value, most, whole }) {
  const scale = makeScale(kind, report.runs.map(value), most);
  /** @param {number} at */
  const share = (at) => (at - scale.low) / (scale.high - scale.low);
  return {
    name, title, said: (run) => figure(value(run)),
    at: (run) => (scale.special(value(run)) === null ? share(scale.place(value(run))) : null),
    ticks: scaleTicks(scale, 5, whole).map(([at, label]) => [share(at), label]),
  };
}

// Of few numbers, each is a place; of many, the axis is a scale.
const words = SHARED.filter((key) => choicesOf(key).length <= WORDS || NUMERIC.every(({ name }) => name !== key));
const axes = [...words.map(ofWords), ...NUMERIC.filter(({ name }) => !words.includes(name)).map(ofNumbers)];
const FIRST = [...report.keys.filter((key) => key !== "seed"), "rate", "ratio", "val/loss", "test/loss", "test/accuracy"];
const asked = new Set(axes.map(({ name }) => name).filter((name) => FIRST.includes(name)));

/** @param {HTMLElement} parent @param {Axis[]} used @param {Run[]} runs */
function drawRuns(parent, used, runs) {
  const ends = [used[0], used[used.length - 1]].flatMap(({ ticks }) => ticks.map(([, label]) => textWidth(label) + 12));
  const side = Math.max(BESIDE, ...ends);
  const width = Math.max(200, parent.clientWidth - 2 * side, BETWEEN * (used.length - 1));
  const longest = Math.floor((used.length > 1 ? Math.min(width / (used.length - 1), 2 * side) : width) / 6.5);
  /** @param {number} index */
  const across = (index) => side + (used.length > 1 ? (index / (used.length - 1)) * width : width / 2);
  /** @param {number} at */
  const up = (at) => TOP + HEIGHT * (1 - at);
  const colourOf = colours();
  const lines = runs.map((run) => {
    const ys = used.map((axis) => axis.at(run)).map((at) => (at === null ? null : up(at)));
    const d = ys.map((y, index) => (y === null ? ""
      : `${index > 0 && ys[index - 1] !== null ? "L" : "M"}${across(index).toFixed(1)} ${y.toFixed(1)}`)).join("");
    return { run, ys, path: svg("path", { class: "run-line", d, opacity: clamp(30 / runs.length, 0.15, 0.6), stroke: colourOf.get(run), "data-job": run.job }) };
  });
  const order = [...lines].sort((a, b) => (b.ys.at(-1) ?? Infinity) - (a.ys.at(-1) ?? Infinity));
  const drawing = svg("svg", {
    width: width + 2 * side, height: HEIGHT + TOP + BOTTOM, role: "img",
    "aria-label": "A line per run across the chosen axes. Arrow keys move through the runs, Enter opens one.",
  },
    ...lines.map(({ path }) => path),
    ...used.flatMap(({ title, ticks }, index) => [
      svg("line", { class: "upright", x1: across(index), x2: across(index), y1: TOP, y2: TOP + HEIGHT }),
      svg("text", { class: "title", x: across(index), y: 12, "text-anchor": "middle" }, cut(title, Math.min(24, longest))),
      ...ticks.map(([at, label]) => svg("text", {
        class: "on-line", x: across(index) + (index ? 6 : -6), y: up(at) + 4, "text-anchor": index ? "start" : "end",
      }, label)),
    ]));
  /** @param {typeof lines[number]} line @param {number} x */
  const height = ({ ys }, x) => {
    const index = Math.max(0, Math.min(used.length - 2, Math.floor(((x - side) / width) * (used.length - 1))));
    const [from, to] = [ys[index], ys[index + 1] ?? ys[index]];
    const part = used.length > 1 ? (x - across(index)) / (across(index + 1) - across(index)) : 0;
    return from === null || to === null ? Infinity : from + part * (to - from);
  };
  walkable(drawing, {
    count: order.length,
    nearest: (x, y) => {
      const apart = order.map((line) => Math.abs(height(line, x) - y));
      const best = apart.indexOf(Math.min(...apart));
      return apart[best] < 12 ? best : -1;
    },
    say: (item) => {
      const { run, ys, path } = order[item];
      for (const line of lines) line.path.classList.toggle("lit", line.path === path);
      drawing.insertBefore(path, drawing.querySelector(".upright"));
      const words = used.map((axis) => html("div", {}, `${axis.title} ${axis.said(run)}`));
      return { x: across(used.length - 1), y: ys.at(-1) ?? TOP, lines: [html("b", {}, run.job), ...words] };
    },
    open: (item) => openRuns(order[item].run.job, [order[item].run]),
  });
  parent.replaceChildren(html("div", { class: "scroll" }, drawing));
}

export function drawParallel() {
  const boxes = axes.map(({ name, title }) => {
    const box = html("input", { type: "checkbox", checked: asked.has(name), value: name });
    box.addEventListener("change", () => { asked[box.checked ? "add" : "delete"](name); draw(); });
    return html("label", {}, box, html("span", {}, title));
  });
  const { element, place } = section("parallel", "All numbers of a run at once",
    html("fieldset", { class: "axes" }, html("legend", { class: "soft" }, "Axes"), html("div", {}, ...boxes)));
  function draw() {
    const used = axes.filter(({ name }) => asked.has(name));
    const runs = shown().filter((run) => run.status !== "missing");
    if (!used.length || !runs.length) {
      place.replaceChildren(empty(runs.length ? "Choose an axis." : "No run that is shown has come to its end yet."));
      return;
    }
    drawRuns(place, used, runs);
  }
  follow(draw);
  return element;
}
