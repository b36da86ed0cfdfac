// @ts-check
// Colours of runs and of values, and the patterns of what has no value.

import { contextOf, html } from "./elements.js";

/** @typedef {"missing" | "zero" | "infinite"} Special */
/** @typedef {(x: number, y: number, width: number, height: number, density: number) => number} ColourAt */

export const SHADES = 256; // The number is even, so that a diverging scale has a middle.
export const RUN_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]; // Okabe and Ito
export const DIVERGING = [
  "#08306b", "#2171b5", "#6baed6", "#c6dbef", "#f7f7f7", "#fdd0a2", "#fd8d3c", "#d94801", "#7f2704",
];
// Viridis.
export const SEQUENTIAL = [
  "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
];

/** @type {[name: Special, label: string, title: string][]} */
export const SPECIALS = [
  ["missing", "no value", "not measured or NaN"],
  ["zero", "0", "exactly 0"],
  ["infinite", "∞", "infinite"],
];

/** @param {string} hex */
const channels = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));

/** @param {string} hex */
const packed = (hex) => channels(hex).reduce((sum, channel, index) => sum | (channel << (8 * index)), 0xff << 24) >>> 0;

/**
 * Red, green and blue at a fraction of a scale.
 * @param {readonly string[]} colours
 * @param {number} fraction
 */
export function tone(colours, fraction) {
  const at = fraction * (colours.length - 1);
  const left = Math.min(Math.floor(at), colours.length - 2);
  const [from, to] = [channels(colours[left]), channels(colours[left + 1])];
  return from.map((channel, c) => Math.round(channel + (at - left) * (to[c] - channel)));
}

/**
 * Whether white is easier to read on a colour than black, by the contrast of WCAG 2.
 * @param {number[]} rgb
 */
export function isDark(rgb) {
  const [red, green, blue] = rgb.map((channel) => (channel / 255 <= 0.04045 ? channel / 255 / 12.92 : ((channel / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.179;
}

/**
 * The SHADES + 1 colours of a scale, as the pixels of an image.
 * @param {readonly string[]} colours
 */
export function palette(colours) {
  return Uint32Array.from({ length: SHADES + 1 }, (_, index) => {
    const [red, green, blue] = tone(colours, index / SHADES);
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

// A special value has a colour and a pattern, so that it differs from every colour of a scale, also in grey.
const [BLACK, GREY, LIGHT, PINK, WHITE] = ["#111111", "#8c959f", "#d8dee4", "#d01c8b", "#ffffff"].map(packed);

/** @type {Record<Special, (x: number, y: number) => number>} */
export const PATTERNS = {
  missing: (x, y) => ((x + y) % 6 < 2 ? GREY : LIGHT),
  zero: (x, y) => (x % 4 === 0 && y % 4 === 0 ? WHITE : BLACK),
  infinite: (x, y) => ((x - y + 6000) % 6 < 2 ? WHITE : PINK),
};

/**
 * Paints a canvas of `width` x `height` CSS pixels. `colourAt` is asked for every pixel of the screen.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 * @param {ColourAt} colourAt
 */
export function paint(canvas, width, height, colourAt) {
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * density));
  canvas.height = Math.max(1, Math.round(height * density));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = contextOf(canvas);
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let y = 0, at = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, at++) pixels[at] = colourAt(x, y, canvas.width, canvas.height, density);
  }
  context.putImageData(image, 0, 0);
}

/**
 * A small square with the pattern of a special value.
 * @param {Special} name
 */
export function patch(name) {
  const canvas = html("canvas", { class: "swatch" });
  paint(canvas, 14, 14, PATTERNS[name]);
  return canvas;
}

/**
 * A small square in a run's colour.
 * @param {string} colour
 * @param {string} [title]
 */
export const swatch = (colour, title) => html("span", { class: "swatch", style: `background: ${colour}`, title });
