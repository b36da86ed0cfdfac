// @ts-check
// One stop of the Tab key for many buttons in rows and columns; the arrow keys move among them.

import { arrow } from "./keyboard.js";

/** @param {HTMLElement} button */
const placeOf = (button) => (button.dataset.cell ?? "").split(" ").map(Number);

/**
 * @param {HTMLElement[]} buttons each with its row and column in `data-cell`
 * @param {string | undefined} focused the `data-cell` of the one that has the focus
 */
export function walk(buttons, focused) {
  /** @param {HTMLElement} chosen */
  const stop = (chosen) => {
    for (const button of buttons) button.tabIndex = button === chosen ? 0 : -1;
  };
  const again = focused === undefined ? undefined : buttons.find((button) => button.dataset.cell === focused) ?? buttons[0];
  if (buttons.length) stop(again ?? buttons[0]);
  again?.focus();
  for (const button of buttons) {
    button.addEventListener("focus", () => stop(button));
    button.addEventListener("keydown", (event) => {
      const move = arrow(event);
      if (move) next(buttons, button, move)?.focus();
    });
  }
}

/**
 * The nearest button in a direction, in the same row or column.
 * @param {HTMLElement[]} buttons
 * @param {HTMLElement} from
 * @param {[sideways: number, upwards: number]} move
 */
function next(buttons, from, [sideways, upwards]) {
  const [row, column] = placeOf(from);
  const ahead = buttons.flatMap((button) => {
    const [itsRow, itsColumn] = placeOf(button);
    const steps = sideways ? (itsColumn - column) * sideways : (row - itsRow) * upwards;
    return (sideways ? itsRow === row : itsColumn === column) && steps > 0 ? [{ button, steps }] : [];
  });
  return ahead.sort((a, b) => a.steps - b.steps)[0]?.button;
}
