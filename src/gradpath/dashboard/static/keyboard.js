// @ts-check
// The keys that move through a picture.

/** @type {Record<string, [sideways: number, upwards: number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * Where an arrow key leads, or null for any other key. The page does not scroll by it.
 * @param {KeyboardEvent} event
 */
export function arrow(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || !Object.hasOwn(ARROWS, event.key)) return null;
  event.preventDefault();
  return ARROWS[event.key];
}
