// The tab "Gradient Flow". `state` changes, then `draw` (or, for the slider, `drawStep`) makes the page follow it.
// Text from records and file names reaches the page as text nodes only.

const POLL_MS = 5000;
const MOST_RUNS = 6;
const SHADES = 256; // even, so that a diverging scale has a middle
const FLOOR = 1e-45; // below it, the logarithm is drawn as if the value were this
const RUN_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]; // Okabe and Ito
const DIVERGING = ["#08306b", "#2171b5", "#6baed6", "#c6dbef", "#f7f7f7", "#fdd0a2", "#fd8d3c", "#d94801", "#7f2704"];
// Viridis.
const SEQUENTIAL = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
const CLASSES = ["vanishing", "exploding", "healthy"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const SPECIALS = { missing: ["no value", "not measured or NaN"], zero: ["0", "exactly 0"], infinite: ["∞", "infinite"] };

// name: [title, symbol, unit, scale]
const QUANTITIES = {
  delta: ["Gradient at the pre-activation, |δ|", "|δ|", "root mean square over samples", "log"],
  delta_second_moment: ["Second moment of δ", "⟨|δ|²⟩", "mean over samples", "log"],
  weight_grad_norm: ["Weight gradient, |dW|", "|dW|", "norm, before clipping", "log"],
  weight_grad_norm_clipped: ["Weight gradient after clipping", "|dW|", "norm, after clipping", "log"],
  bias_grad_norm: ["Bias gradient, |db|", "|db|", "norm", "log"],
  weight_norm: ["Weight, |W|", "|W|", "norm", "log"],
  weight_grad_ratio: ["Gradient per weight, |dW| / |W|", "|dW| / |W|", "ratio of norms", "log"],
  update_ratio: ["Update per weight, |ΔW| / |W|", "|ΔW| / |W|", "ratio of norms", "log"],
  activation_mean: ["Mean activation", "mean activation", "over units and samples", "signed"],
  activation_variance: ["Variance of the activation", "activation variance", "over units and samples", "log"],
  saturated: ["Saturated units", "saturated units", "fraction of all", "fraction"],
  dead: ["Dead units", "dead units", "fraction of all", "fraction"],
  correlation: ["Correlation of two inputs", "correlation", "of two fixed inputs", "correlation"],
  rank: ["Rank of the weight", "rank of W", "count", "linear"],
};

const state = {
  runs: null, // [{name, version}], newest first
  folders: [],
  selected: new Map(), // name -> {slot, key, record, error}
  quantity: "delta",
  relative: true,
  step: null, // null follows the newest step
  filter: "",
  views: [], // what is drawn: one per selected run with values
};
const page = {}; // the elements that stay

// ---------------------------------------------------------------- elements

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function textWidth(text) {
  const context = (textWidth.context ??= document.createElement("canvas").getContext("2d"));
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return context.measureText(text).width;
}

// ---------------------------------------------------------------- numbers

const power = (exponent) => "10" + String(exponent).replace(/./g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]));

function decimal(value) {
  if (value === null || Number.isNaN(value)) return "not measured";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 0.001 && size < 100000) return String(Number(value.toPrecision(3))).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(1).split("e");
  return `${mantissa.replace("-", "−")} × ${power(Number(exponent))}`;
}

const whole = (value) => value.toLocaleString("en");

function ticks(low, high, count, smallest = 0) {
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const stride = Math.max(smallest, unit * [1, 2, 5, 10].find((factor) => factor * unit >= rough * 0.999));
  const first = Math.ceil(low / stride - 1e-9);
  return Array.from({ length: Math.floor(high / stride + 1e-9) - first + 1 }, (_, index) => (first + index) * stride);
}

// ---------------------------------------------------------------- scales

// A scale places values on a line (`place`), names what cannot be placed (`special`), and colours the rest.
function makeScale(kind, values) {
  const log = kind === "ratio" || kind === "log";
  const special = (value) => {
    if (Number.isNaN(value) || (log && value < 0)) return "missing";
    if (!Number.isFinite(value)) return "infinite";
    return log && value === 0 ? "zero" : null;
  };
  const place = (value) => (log ? Math.log10(Math.max(value, FLOOR)) : value);
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (special(value) !== null) continue;
    const placed = place(value);
    if (placed < low) low = placed;
    if (placed > high) high = placed;
  }
  if (low > high) [low, high] = log ? [-1, 1] : [0, 1];
  if (kind === "fraction") [low, high] = [0, 1];
  if (kind === "correlation") [low, high] = [-1, 1];
  if (kind === "linear" && low >= 0) low = 0;
  const least = log ? 1 : 1e-9; // no scale shorter than a decade: noise is not a story
  if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
  return { kind, log, low, high, special, place, colours: SEQUENTIAL };
}

// For colours, where 1 (or, on a linear scale, 0) has to be the middle.
function centred(scale) {
  if (!["ratio", "signed", "correlation"].includes(scale.kind)) return scale;
  const reach = Math.max(-scale.low, scale.high, scale.log ? 1 : 0);
  return { ...scale, low: -reach, high: reach, colours: DIVERGING };
}

function scaleTicks(scale, count) {
  const { low, high } = scale;
  if (!scale.log) return ticks(low, high, count).map((at) => [at, decimal(Number(at.toPrecision(6)))]);
  const decades = ticks(low, high, count, 1);
  if (decades.length > 2) return decades.map((at) => [at, Math.abs(at) < 3 ? decimal(10 ** at) : power(at)]);
  const between = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, index) => Math.floor(low) + index);
  const fine = between.flatMap((decade) => [1, 2, 5].map((factor) => factor * 10 ** decade));
  return fine.map((value) => [Math.log10(value), decimal(value)]).filter(([at]) => at >= low && at <= high);
}

const channels = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
const packed = (hex) => channels(hex).reduce((sum, channel, index) => sum | (channel << (8 * index)), 0xff << 24) >>> 0;

function palette(colours) {
  const stops = colours.map(channels);
  return Uint32Array.from({ length: SHADES + 1 }, (_, index) => {
    const at = (index / SHADES) * (stops.length - 1);
    const left = Math.min(Math.floor(at), stops.length - 2);
    const mixed = stops[left].map((channel, c) => Math.round(channel + (at - left) * (stops[left + 1][c] - channel)));
    return ((255 << 24) | (mixed[2] << 16) | (mixed[1] << 8) | mixed[0]) >>> 0;
  });
}

// Colour and pattern, so that a special value differs from every colour of a scale, also in grey.
const [BLACK, GREY, LIGHT, PINK, WHITE] = ["#111111", "#8c959f", "#d8dee4", "#d01c8b", "#ffffff"].map(packed);
const PATTERNS = {
  missing: (x, y) => ((x + y) % 6 < 2 ? GREY : LIGHT),
  zero: (x, y) => (x % 4 === 0 && y % 4 === 0 ? WHITE : BLACK),
  infinite: (x, y) => ((x - y + 6000) % 6 < 2 ? WHITE : PINK),
};

function paint(canvas, width, height, colourAt) {
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * density));
  canvas.height = Math.max(1, Math.round(height * density));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let y = 0, at = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, at++) pixels[at] = colourAt(x, y, canvas.width, canvas.height, density);
  }
  context.putImageData(image, 0, 0);
}

const patch = (name) => {
  const canvas = html("canvas", { class: "swatch" });
  paint(canvas, 14, 14, (x, y) => PATTERNS[name](x, y));
  return canvas;
};

// ---------------------------------------------------------------- data

class Refusal extends Error {}

async function ask(path) {
  const answer = await fetch(new URL(path, import.meta.url));
  const content = await answer.json();
  if (!answer.ok) throw new Refusal(content.error);
  return content;
}

const number = (value) => (value === null ? NaN : Number(String(value).replace("inf", "Infinity")));

async function loadRun({ name, version }) {
  const entry = state.selected.get(name);
  const { quantity } = state;
  const key = `${version} ${quantity}`;
  if (!entry || entry.key === key) return false;
  const query = new URLSearchParams({ run: name, quantity });
  try {
    const record = await ask(`record?${query}`);
    record.values = record.values?.map((row) => row.map(number));
    record.theory = record.theory?.map(number);
    for (const band of ["theory_band", "seeds_band"]) record[band] = record[band]?.map((row) => row.map(number));
    if (quantity === state.quantity) Object.assign(entry, { key, record, error: null });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    Object.assign(entry, { key, record: null, error: error.message });
  }
  return true;
}

async function load() {
  const changed = await Promise.all((state.runs ?? []).map(loadRun));
  const offered = quantities();
  if (offered.length && !offered.includes(state.quantity)) {
    state.quantity = offered[0];
    return load();
  }
  return changed.includes(true);
}

function quantities() {
  const found = new Set([...state.selected.values()].flatMap((entry) => entry.record?.quantities ?? []));
  const known = Object.keys(QUANTITIES);
  return [...known.filter((name) => found.has(name)), ...[...found].filter((name) => !known.includes(name))];
}

async function refresh() {
  const { runs, folders } = await ask("runs");
  const names = new Set(runs.map((run) => run.name));
  const changed = !state.runs || state.runs.length !== runs.length || state.runs.some((run) => !names.has(run.name));
  const first = !state.runs?.length && runs.length > 0;
  Object.assign(state, { runs, folders });
  for (const name of [...state.selected.keys()]) if (!names.has(name)) state.selected.delete(name);
  if (first) runs.slice(0, 2).forEach(({ name }) => select(name));
  if (changed) drawRuns();
  if ((await load()) || changed) draw();
}

async function poll() {
  try {
    // A frame behind another tab has no width: nobody is looking.
    if (window.innerWidth > 0) await refresh();
    page.status.textContent = `Looks for news every ${POLL_MS / 1000} s.`;
  } catch {
    page.status.textContent = "TensorBoard does not answer. Trying again.";
  }
  setTimeout(poll, POLL_MS);
}

function select(name) {
  const taken = new Set([...state.selected.values()].map((entry) => entry.slot));
  const slot = RUN_COLOURS.findIndex((_, index) => !taken.has(index));
  state.selected.set(name, { slot, key: null, record: null, error: null });
}

async function change(action) {
  action();
  markRuns();
  try {
    await load();
  } catch {
    page.status.textContent = "TensorBoard does not answer. Trying again.";
  }
  draw();
}

// ---------------------------------------------------------------- what is drawn

function makeView([name, { slot, record }]) {
  const reference = Math.max(0, record.layers.length - 2);
  const relative = state.relative && isLog(record.values);
  // What is 0, infinite or NaN stays so; the rest has no value beside a reference that is.
  const usable = (row) => row[reference] > 0 && row[reference] < Infinity;
  const divided = (value, row) => (value === 0 || !Number.isFinite(value) ? value : usable(row) ? value / row[reference] : NaN);
  const against = (row) => (relative ? row.map((value) => divided(value, row)) : row);
  return {
    name, record, relative, colour: RUN_COLOURS[slot], layers: record.layers, steps: record.steps, reference,
    values: record.values.map(against), theory: record.theory && against(record.theory),
    bands: [["of-theory", record.theory_band], ["of-seeds", record.seeds_band]].flatMap(([kind, rows]) =>
      rows ? [{ kind, rows: rows.map(against) }] : []),
  };
}

// An unknown quantity that is nowhere negative and spans decades is one for a logarithm.
function isLog(values) {
  if (state.quantity in QUANTITIES) return QUANTITIES[state.quantity][3] === "log";
  const positive = values.flat().filter((value) => value > 0 && value < Infinity).sort((a, b) => a - b);
  return positive.length > 0 && !values.flat().some((value) => value < 0) && positive.at(-1) > 100 * positive[0];
}

function describe() {
  const [title, symbol, unit, kind] = QUANTITIES[state.quantity] ?? [state.quantity, state.quantity, "", null];
  const log = state.views.length > 0 && state.views.every((view) => isLog(view.record.values));
  const relative = state.relative && log;
  const signed = state.views.some((view) => view.values.flat().some((value) => value < 0));
  return {
    title, log, kind: relative ? "ratio" : log ? "log" : kind ?? (signed ? "signed" : "linear"),
    axis: relative ? `${symbol} relative to the last hidden layer` : unit ? `${symbol} (${unit})` : symbol,
  };
}

function* allValues(theory) {
  for (const view of state.views) {
    for (const row of view.values) yield* row;
    if (theory && view.theory) yield* view.theory;
  }
}

function draw() {
  if (!state.runs) return;
  const entries = [...state.selected];
  state.views = entries.filter(([, entry]) => entry.record?.values && entry.record.steps.length).map(makeView);
  const shown = state.views.length > 0;
  const what = describe();
  const scale = makeScale(what.kind, allValues(true));
  page.scale = scale;
  page.colourScale = centred(makeScale(what.kind, allValues(false)));
  page.what = what;
  page.controls.hidden = !entries.some(([, entry]) => entry.record);
  page.stepper.hidden = page.below.hidden = !shown;
  page.quantity.replaceChildren(
    ...quantities().map((value) => html("option", { value, selected: value === state.quantity }, QUANTITIES[value]?.[0] ?? value)),
  );
  page.modes.disabled = !what.log;
  for (const input of page.modes.querySelectorAll("input")) input.checked = (input.value === "relative") === state.relative;
  drawColours();
  page.panels.style.setProperty("--columns", columnCount());
  page.panels.replaceChildren(...(entries.length ? entries.map(drawPanel) : [drawEmpty()]));
  for (const view of state.views) drawHeatMap(view);
  drawFindings(entries);
  drawSteps();
}

function columnCount() {
  const count = state.selected.size;
  if (count > 4) return isWide() ? 3 : 2;
  return Math.min(count, isWide() ? 4 : 2);
}

const isWide = () => page.main.clientWidth > 1500;

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

function drawRuns() {
  const words = state.filter.toLowerCase().split(/\s+/);
  const wanted = state.runs.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
  const focused = document.activeElement?.dataset.run;
  page.runs.replaceChildren(...wanted.map(({ name }) => {
    const box = html("input", { type: "checkbox", "data-run": name });
    box.addEventListener("change", () => change(() => (box.checked ? select(name) : state.selected.delete(name))));
    return html("li", {}, html("label", {}, box, html("span", {}, brief(name))));
  }));
  markRuns();
  runBoxes().find((box) => box.dataset.run === focused)?.focus();
}

// A run's name without the folders that all runs share.
function brief(name) {
  const folders = state.runs.map((run) => run.name.split("/").slice(0, -1));
  const different = folders[0]?.findIndex((folder, depth) => folders.some((other) => other[depth] !== folder)) ?? 0;
  const shared = folders.length < 2 ? 0 : different < 0 ? folders[0].length : different;
  return name.split("/").slice(shared).join("/");
}

const runBoxes = () => [...page.runs.querySelectorAll("input")];

function markRuns() {
  const full = state.selected.size >= MOST_RUNS;
  for (const box of runBoxes()) {
    const entry = state.selected.get(box.dataset.run);
    box.checked = Boolean(entry);
    box.disabled = full && !entry;
    box.parentNode.title = box.disabled ? `At most ${MOST_RUNS} runs side by side` : box.dataset.run;
    box.style.setProperty("--run", entry ? RUN_COLOURS[entry.slot] : null);
  }
}

function drawColours() {
  page.colours.replaceChildren();
  if (!state.views.length) return;
  const scale = page.colourScale;
  const found = new Set();
  for (const value of allValues(false)) found.add(scale.special(value));
  const [width, pad] = [isWide() ? 300 : 220, 26];
  const across = (at) => pad + ((at - scale.low) / (scale.high - scale.low)) * width;
  const last = scale.colours.length - 1;
  const stops = scale.colours.map((colour, index) => svg("stop", { offset: index / last, "stop-color": colour }));
  const specials = Object.entries(SPECIALS).filter(([name]) => found.has(name));
  page.colours.append(
    html("div", { class: "specials" }, ...specials.map(([name, [label, title]]) => html("span", { title }, patch(name), label))),
    svg("svg", { width: width + 2 * pad, height: 46, role: "img", "aria-label": `Colour scale: ${page.what.axis}` },
      svg("defs", {}, svg("linearGradient", { id: "gradient" }, ...stops)),
      svg("text", { class: "title", x: pad, y: 10 }, page.what.axis),
      svg("rect", { x: pad, y: 16, width, height: 10, fill: "url(#gradient)" }),
      ...scaleTicks(scale, 8).flatMap(([at, label]) => [
        svg("line", { class: "axis", x1: across(at), x2: across(at), y1: 26, y2: 30 }),
        svg("text", { x: across(at), y: 42, "text-anchor": "middle" }, label),
      ])));
}

// ---------------------------------------------------------------- a run's panel

function drawPanel([name, entry]) {
  const { record, error } = entry;
  const title = html("h3", { title: name }, swatch(RUN_COLOURS[entry.slot]), html("b", {}, brief(name)));
  const panel = html("section", { class: "panel", "data-run": name }, html("header", {}, title));
  const notice = (text) => html("p", { class: "notice" }, text);
  if (!record) {
    panel.append(error ? notice(`The record of ${name} ${error}`) : html("p", { class: "soft" }, "Loading …"));
    return panel;
  }
  title.parentNode.append(drawVerdict(record.verdict));
  if (!record.steps.length) panel.append(notice("No step is measured yet."));
  else if (!record.values) panel.append(notice(`This run did not record: ${page.what.title}.`));
  else panel.append(html("div", { class: "plot" }));
  return panel;
}

const swatch = (colour, title) => html("span", { class: "swatch", style: `background: ${colour}`, title });

function drawVerdict(verdict) {
  if (!verdict) return html("p", { class: "soft" }, "no verdict recorded");
  const soft = (text) => html("span", { class: "soft" }, text);
  const figure = (value) => (value === null ? soft("–") : html("span", {}, decimal(number(value))));
  const kind = (name) => html("span", { class: `class ${CLASSES.includes(name) ? name : "soft"}` }, name ?? "undecided");
  const line = (judged, when) => [
    soft(when), kind(judged.class), soft("first / last"), figure(judged.ratio), soft("per layer"), figure(judged.rate_per_layer),
  ];
  const title = "The gradient at the first hidden layer over that at the last, and its factor per layer towards the input";
  const lines = verdict.end ? [...line(verdict, "start"), ...line(verdict.end, "end")] : line(verdict, "gradient");
  return html("div", { class: "verdict", title }, ...lines);
}

function drawFindings(entries) {
  const findings = entries.flatMap(([name, { record, slot }]) =>
    (record?.verdict?.findings ?? []).map((finding) => ({ name, slot, ...finding })));
  const found = findings.map(({ name, slot, ...finding }) => html("article", { class: "finding" },
    html("h3", {}, entries.length > 1 ? swatch(RUN_COLOURS[slot], name) : null, (finding.kind ?? "").replaceAll("_", " "),
      html("span", { class: "soft" }, [finding.cause, finding.layer].filter(Boolean).join(", "))),
    html("p", {}, finding.message ?? ""),
    finding.remedy ? remedy(finding.remedy) : null));
  const deviations = entries.filter(([, { record }]) => record?.verdict?.deviation).map(([name, { record, slot }]) =>
    html("p", { class: "soft deviation" }, entries.length > 1 ? swatch(RUN_COLOURS[slot], name) : null,
      ` At step 0 ${record.verdict.deviation}.`));
  page.findings.replaceChildren(
    ...(found.length ? found : [html("p", { class: "soft" }, "Nothing found to repair.")]), ...deviations);
}

function remedy(text) {
  const code = html("code", {}, text);
  const button = html("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no clipboard without https: then the next Ctrl+C is one's own
    }
  });
  return html("div", { class: "remedy" }, code, button);
}

// ---------------------------------------------------------------- heat map

function edges(steps) {
  if (steps.length === 1) return [steps[0] - 0.5, steps[0] + 0.5];
  const between = steps.slice(1).map((step, index) => (step + steps[index]) / 2);
  return [2 * steps[0] - between[0], ...between, 2 * steps.at(-1) - between.at(-1)];
}

// The column at a fraction of the width.
function columnAt(cuts, fraction) {
  const step = cuts[0] + fraction * (cuts.at(-1) - cuts[0]);
  return clamp(cuts.findIndex((cut) => cut > step) - 1, 0, cuts.length - 2);
}

// Which of `count` names to write where each has `room` pixels: the first, the last, and round numbers between.
function thinned(count, room, needed) {
  const stride = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((step) => step * room >= needed) ?? count;
  const apart = Math.ceil(needed / room);
  return [...Array(count).keys()].filter((index) =>
    index === 0 || index === count - 1 || ((index + 1) % stride === 0 && index >= apart && count - 1 - index >= apart));
}

function drawHeatMap(view) {
  const panel = [...page.panels.children].find((child) => child.dataset.run === view.name);
  const plot = panel.querySelector(".plot");
  const rows = Math.ceil(state.selected.size / columnCount());
  const [left, bottom, top] = [Math.min(120, Math.max(...view.layers.map(textWidth)) + 34), 36, 8];
  const width = Math.max(60, plot.clientWidth - left - 8);
  const height = clamp(spare() * (rows > 1 ? 0.34 : 0.55), 120, 420);
  const cuts = edges(view.steps);
  const count = view.layers.length;
  const across = (step) => left + ((step - cuts[0]) / (cuts.at(-1) - cuts[0])) * width;
  const down = (layer) => top + height * (1 - (layer + 0.5) / count);
  const canvas = html("canvas", { style: `left: ${left}px; top: ${top}px` });
  paint(canvas, width, height, cellColours(view, cuts));

  const marks = svg("g", { class: "marks" });
  const middle = { "text-anchor": "middle" };
  const [drawn, recorded] = [view.steps.length, view.record.recorded];
  const overlay = svg("svg", {
    width: plot.clientWidth, height: height + top + bottom, tabindex: 0, role: "img",
    "aria-label": `Heat map of ${view.name}: ${page.what.axis}, layer by step. Arrow keys move through it.`,
  },
    svg("rect", { class: "axis", x: left - 0.5, y: top - 0.5, width: width + 1, height: height + 1 }),
    ...thinned(count, height / count, 13).map((layer) =>
      svg("text", { x: left - 7, y: down(layer) + 4, "text-anchor": "end" }, shortened(view.layers[layer]))),
    ...ticks(view.steps[0], view.steps.at(-1) || 1, width / 80, 1).map((step) =>
      svg("text", { x: across(step), y: top + height + 15, ...middle }, whole(step))),
    svg("text", { class: "title", x: left + width / 2, y: top + height + 31, ...middle },
      drawn < recorded ? `step (${whole(drawn)} of ${whole(recorded)} recorded ones are drawn)` : "step"),
    svg("text", { class: "title", transform: `translate(11 ${top + height / 2}) rotate(-90)`, ...middle }, "layer (input below)"),
    marks);
  plot.replaceChildren(canvas, overlay);
  Object.assign(view, { marks, across, top, height });

  const cell = (event) => {
    const box = overlay.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (x < left || x > left + width || y < top || y > top + height) return null;
    const layer = clamp(Math.floor((1 - (y - top) / height) * count), 0, count - 1);
    return { column: columnAt(cuts, (x - left) / width), layer };
  };
  overlay.addEventListener("pointermove", (event) => {
    const at = cell(event);
    if (at) showTip(event.clientX, event.clientY, cellTip(view, at.column, at.layer));
    else hideTip();
  });
  overlay.addEventListener("pointerleave", hideTip);
  overlay.addEventListener("blur", hideTip);
  overlay.addEventListener("click", (event) => {
    const at = cell(event);
    if (at) goTo(view.steps[at.column]);
  });
  overlay.addEventListener("keydown", (event) => {
    const [sideways, upwards] = ARROWS[event.key] ?? [0, 0];
    if (!sideways && !upwards) return;
    event.preventDefault();
    view.layer = clamp((view.layer ?? 0) + upwards, 0, count - 1);
    const column = clamp(columnOf(view) + sideways, 0, view.steps.length - 1);
    if (sideways) goTo(view.steps[column]);
    const box = overlay.getBoundingClientRect();
    showTip(box.left + across(view.steps[column]), box.top + down(view.layer), cellTip(view, column, view.layer));
  });
}

// The height that the heat map and the profile share, so that both are seen at once.
const spare = () => window.innerHeight - 376;

function cellColours(view, cuts) {
  const scale = page.colourScale;
  const colours = palette(scale.colours);
  const count = view.layers.length;
  const codes = view.values.map((row) => row.map((value) => scale.special(value)
    ?? colours[clamp(Math.round((SHADES * (scale.place(value) - scale.low)) / (scale.high - scale.low)), 0, SHADES)]));
  const columns = [];
  return (x, y, width, height, density) => {
    const layerAt = (line) => count - 1 - Math.floor((line * count) / height);
    const layer = layerAt(y);
    // Few layers are told apart by a gap between them.
    if (height / count > 14 * density && layer > 0 && layerAt(y + density) !== layer) return 0;
    columns[x] ??= columnAt(cuts, (x + 0.5) / width);
    const code = codes[columns[x]][layer];
    return typeof code === "string" ? PATTERNS[code](Math.floor(x / density), Math.floor(y / density)) : code;
  };
}

const shortened = (name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name);

// ---------------------------------------------------------------- step

const allSteps = () => [...new Set(state.views.flatMap((view) => view.steps))].sort((a, b) => a - b);
const lastUpTo = (steps, step) => Math.max(0, steps.findLastIndex((measured) => measured <= step));
const columnOf = (view) => (state.step === null ? view.steps.length - 1 : lastUpTo(view.steps, state.step));

function goTo(step) {
  const steps = allSteps();
  state.step = step >= steps.at(-1) ? null : step;
  drawSteps();
}

function drawSteps() {
  if (!state.views.length) return;
  const steps = allSteps();
  if (state.step !== null && state.step > steps.at(-1)) state.step = null;
  page.slider.max = steps.length - 1;
  page.slider.value = state.step === null ? steps.length - 1 : lastUpTo(steps, state.step);
  const step = steps[page.slider.value];
  page.slider.setAttribute("aria-valuetext", `step ${step}`);
  const place = state.step === null ? " (newest)" : ` of ${whole(steps.at(-1))}`;
  page.readout.replaceChildren("step ", html("b", {}, whole(step)), html("span", { class: "soft" }, place));
  for (const view of state.views) {
    const x = view.across(view.steps[columnOf(view)]);
    const line = (name) => svg("line", { class: name, x1: x, x2: x, y1: view.top, y2: view.top + view.height });
    const hand = svg("path", { class: "hand", d: `M${x - 5} ${view.top - 7}h10l-5 7z` });
    view.marks.replaceChildren(line("halo"), line("now"), hand);
  }
  drawProfile();
}

// ---------------------------------------------------------------- profile over depth

// "hidden_01", ..., "output" read well as "01", ..., "output" under a title that says the rest.
function axisLayers(views) {
  const [first, ...others] = views.map((view) => view.layers);
  const longest = Math.max(...views.map((view) => view.layers.length));
  if (others.some((layers) => layers.join("\n") !== first.join("\n"))) {
    return ["layer, counted from the input", Array.from({ length: longest }, (_, index) => String(index + 1))];
  }
  const stem = first[0].replace(/\d+$/, "");
  const hidden = first.slice(0, -1);
  const numbered = hidden.length > 1 && stem && hidden.every((name) => name.startsWith(stem) && /^\d+$/.test(name.slice(stem.length)));
  if (!numbered) return ["layer (input at the left)", first.map(shortened)];
  const words = stem.replace(/[_.\s]+$/, "").replaceAll("_", " ");
  return [`${words} layer (input at the left)`, [...hidden.map((name) => name.slice(stem.length)), first.at(-1)]];
}

function drawProfile() {
  const { scale, chart } = page;
  const [title, names] = axisLayers(state.views);
  const yTicks = scaleTicks(scale, 6);
  const [left, right, top, bottom] = [Math.max(...yTicks.map(([, label]) => textWidth(label))) + 14, 16, 6, 36];
  const [width, height] = [Math.max(80, chart.clientWidth - left - right), clamp(0.45 * spare(), 160, 340)];
  const gap = 0.02 * height;
  const across = (layer) => left + (names.length === 1 ? width / 2 : 12 + (layer / (names.length - 1)) * (width - 24));
  const up = (value) => top + gap + (height - 2 * gap) * (1 - (scale.place(value) - scale.low) / (scale.high - scale.low));
  const level = (at) => top + gap + (height - 2 * gap) * (1 - (at - scale.low) / (scale.high - scale.low));
  const room = Math.max(...names.map(textWidth)) + 10;

  const path = (values) => values.map((value, layer) => {
    if (scale.special(value) !== null) return "";
    const joined = layer > 0 && scale.special(values[layer - 1]) === null;
    return `${joined ? "L" : "M"}${across(layer).toFixed(1)} ${up(value).toFixed(1)}`;
  }).join("");
  // The layers where both edges have a place on the scale: all up to the last hidden one.
  const area = ([low, high]) => {
    const layers = low.map((_, layer) => layer).filter((layer) => [low, high].every((row) => scale.special(row[layer]) === null));
    const points = (row, order) => order.map((layer) => `${across(layer).toFixed(1)} ${up(row[layer]).toFixed(1)}`).join("L");
    return layers.length > 1 ? `M${points(low, layers)}L${points(high, layers.toReversed())}Z` : "";
  };
  const curves = state.views.flatMap((view) => {
    const values = view.values[columnOf(view)];
    const dots = names.length > 60 ? [] : values.map((value, layer) => scale.special(value) === null
      ? svg("circle", { class: "dot", cx: across(layer), cy: up(value), r: 3.5, fill: view.colour }) : null);
    return [
      ...view.bands.map(({ kind, rows }) => svg("path", { class: `band ${kind}`, d: area(rows), fill: view.colour })),
      view.theory ? svg("path", { class: "theory", d: path(view.theory), stroke: view.colour }) : null,
      svg("path", { class: "measured", "data-run": view.name, d: path(values), stroke: view.colour }),
      ...dots, ...values.map((value, layer) => offScale(scale.special(value), across(layer), top, height, view.colour)),
    ];
  });
  const hair = svg("line", { class: "axis" });
  const drawing = svg("svg", {
    width: chart.clientWidth, height: height + top + bottom, role: "img",
    "aria-label": `${page.what.axis} over depth, ${page.readout.textContent}`,
  },
    ...yTicks.flatMap(([at, label]) => [
      svg("line", { class: "grid", x1: left, x2: left + width, y1: level(at), y2: level(at) }),
      svg("text", { x: left - 7, y: level(at) + 4, "text-anchor": "end" }, label)]),
    svg("path", { class: "axis", d: `M${left} ${top}v${height}h${width}` }),
    ...thinned(names.length, (width - 24) / Math.max(1, names.length - 1), room).map((layer) =>
      svg("text", { x: across(layer), y: top + height + 15, "text-anchor": "middle" }, names[layer])),
    svg("text", { class: "title", x: left + width / 2, y: top + height + 31, "text-anchor": "middle" }, title),
    hair, ...curves);
  drawing.addEventListener("pointermove", (event) => {
    const x = event.clientX - drawing.getBoundingClientRect().left;
    const layer = clamp(Math.round(((x - left - 12) / (width - 24)) * (names.length - 1)), 0, names.length - 1);
    fill(hair, { x1: across(layer), x2: across(layer), y1: top, y2: top + height }, []);
    showTip(event.clientX, event.clientY, profileTip(layer));
  });
  drawing.addEventListener("pointerleave", hideTip);
  page.ordinate.textContent = page.what.axis;
  chart.replaceChildren(drawing);
  drawLegend();
}

function drawLegend() {
  const chosen = Number(allSteps()[page.slider.value]);
  const runs = state.views.map((view) => {
    const step = view.steps[columnOf(view)];
    const own = step === chosen ? null : ` (step ${whole(step)})`;
    return html("span", {}, html("i", { style: `border-color: ${view.colour}` }), brief(view.name), own);
  });
  const theory = state.views.some((view) => view.theory);
  const shaded = (kind) => state.views.some((view) => view.bands.some((band) => band.kind === kind));
  page.legend.replaceChildren(...runs,
    theory ? html("span", {}, html("i", { class: "dashed" }), `theory at step 0${shaded("of-theory") ? ", band: 95 % of networks this wide" : ""}`) : "",
    shaded("of-seeds") ? html("span", {}, html("i", { class: "shaded" }), "other seeds at step 0") : "");
}

// A value without a place on the scale is marked at the scale's end: 0 below, infinity above, a cross for NaN.
function offScale(special, x, top, height, colour) {
  if (special === null) return null;
  const d = {
    missing: `M${x - 3} ${top + height - 9}l6 6m0 -6l-6 6`,
    zero: `M${x - 5} ${top + height - 9}h10l-5 8z`,
    infinite: `M${x - 5} ${top + 9}h10l-5 -8z`,
  }[special];
  const look = special === "missing" ? { stroke: colour, fill: "none" } : { fill: colour };
  return svg("path", { class: `off ${special}`, d, ...look }, svg("title", {}, SPECIALS[special][1]));
}

// ---------------------------------------------------------------- tooltip

function showTip(x, y, lines) {
  page.tip.replaceChildren(...lines);
  page.tip.hidden = false;
  const { width, height } = page.tip.getBoundingClientRect();
  page.tip.style.left = `${x + 16 + width > window.innerWidth ? x - 16 - width : x + 16}px`;
  page.tip.style.top = `${clamp(y + 16, 0, window.innerHeight - height)}px`;
}

const hideTip = () => { page.tip.hidden = true; };

function reading(view, column, layer) {
  const shown = decimal(view.values[column][layer]);
  return view.relative ? `${shown} × last hidden layer (${decimal(view.record.values[column][layer])})` : shown;
}

function cellTip(view, column, layer) {
  const title = html("div", {}, html("b", {}, view.layers[layer]), `step ${whole(view.steps[column])}`);
  return [title, html("div", {}, reading(view, column, layer))];
}

function profileTip(layer) {
  return state.views.filter((view) => layer < view.layers.length).map((view) => html("div", {},
    swatch(view.colour), `${view.layers[layer]}: ${reading(view, columnOf(view), layer)}`,
    Number.isFinite(view.theory?.[layer]) ? `theory ${decimal(view.theory[layer])}` : null));
}

// ---------------------------------------------------------------- page

function build() {
  const mode = (value, label) => html("label", {}, html("input", { type: "radio", name: "mode", value }), label);
  const filter = html("input", { type: "search", placeholder: "Filter", "aria-label": "Filter runs by words in their names" });
  filter.addEventListener("input", () => {
    state.filter = filter.value;
    if (state.runs) drawRuns();
  });
  Object.assign(page, {
    runs: html("ul", { id: "runs" }),
    status: html("p", { id: "status", class: "soft", role: "status" }, "Looking for records …"),
    quantity: html("select", { id: "quantity", "aria-label": "Quantity" }),
    modes: html("fieldset", { id: "mode", "aria-label": "Values" }, mode("relative", "Relative to last hidden layer"), mode("absolute", "Absolute")),
    colours: html("div", { id: "colours" }),
    panels: html("div", { id: "panels" }),
    slider: html("input", { type: "range", id: "step", min: 0, step: 1, "aria-label": "Step" }),
    readout: html("output", { id: "readout", for: "step" }),
    ordinate: html("span", { class: "soft" }),
    legend: html("div", { class: "legend" }),
    chart: html("div", { id: "profile" }),
    findings: html("div", { id: "findings" }),
    tip: html("div", { id: "tip", role: "tooltip", hidden: true }),
  });
  const chooser = html("label", { class: "field" }, html("span", {}, "Quantity"), page.quantity);
  page.controls = html("div", { class: "controls" }, chooser, page.modes, page.colours);
  page.stepper = html("div", { class: "stepper" }, html("label", { for: "step" }, "Step"), page.slider, page.readout);
  page.below = html("div", { class: "below" },
    html("section", {}, html("h2", {}, "Profile over depth", page.ordinate), page.legend, page.chart),
    html("section", {}, html("h2", {}, "Findings"), page.findings));
  page.main = html("main", {}, page.controls, page.panels, page.stepper, page.below);
  page.controls.hidden = page.stepper.hidden = page.below.hidden = true;

  page.quantity.addEventListener("change", () => change(() => { state.quantity = page.quantity.value; }));
  page.modes.addEventListener("change", (event) => change(() => { state.relative = event.target.value === "relative"; }));
  page.slider.addEventListener("input", () => goTo(allSteps()[page.slider.value]));
  const side = html("aside", {}, html("h2", {}, "Runs"), filter, page.runs, page.status);
  document.body.replaceChildren(side, page.main, page.tip);
  let width = 0;
  new ResizeObserver(() => {
    if (page.main.clientWidth && page.main.clientWidth !== width) draw();
    width = page.main.clientWidth;
  }).observe(page.main);
}

// TensorBoard tells its frames nothing of its dark mode, but they can see its class.
function followTheme() {
  const host = window.parent === window ? null : window.parent.document.body;
  const apply = () => {
    const dark = host ? host.classList.contains("dark-mode") : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  if (host) new MutationObserver(apply).observe(host, { attributes: true, attributeFilter: ["class"] });
}

export async function render() {
  document.documentElement.lang = "en";
  const style = html("link", { rel: "stylesheet", href: new URL("style.css", import.meta.url).href });
  await new Promise((resolve) => {
    style.addEventListener("load", resolve);
    style.addEventListener("error", resolve);
    document.head.append(style);
  });
  followTheme();
  build();
  poll();
}
