// @ts-check
// The parts that sections are made of.

import { html } from "../../dashboard/static/elements.js";

/** @typedef {{value: string, title: string}} Option */

/**
 * A choice among some.
 * @param {string} label
 * @param {Option[]} options
 * @param {string} value the one that is chosen
 * @param {(value: string) => void} choose
 */
export function select(label, options, value, choose) {
  const list = html("select", {}, ...options.map((option) =>
    html("option", { value: option.value, selected: option.value === value }, option.title)));
  list.addEventListener("change", () => choose(list.value));
  return html("label", { class: "field" }, html("span", {}, label), list);
}

/**
 * A section with a title, controls and a place for what is drawn.
 * @param {string} id
 * @param {string} title
 * @param {(Node | null)[]} controls
 */
export function section(id, title, ...controls) {
  const note = html("span", { class: "soft" });
  const place = html("div", { class: "place" });
  const key = html("div");
  const element = html("section", { id, "aria-labelledby": `${id}-title` },
    html("h2", { id: `${id}-title` }, title, " ", note), controls.length ? html("div", { class: "controls" }, ...controls) : null, key, place);
  return { element, note, key, place };
}

/**
 * What became of a run, in a word and a sign.
 * @param {string} status
 * @param {number} [count]
 */
export function mark(status, count) {
  const sign = { ok: "✓", diverged: "▲", failed: "✕", pruned: "✂" }[status] ?? "…";
  const word = status === "missing" ? "not ended" : status;
  return html("span", { class: `status ${status.replaceAll(" ", "-")}` }, `${sign} ${count === undefined ? "" : `${count} `}${word}`);
}

/** @param {string} text */
export const empty = (text) => html("p", { class: "notice" }, text);
