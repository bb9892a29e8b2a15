// A bar that is filled so far. Nothing is laid out and nothing is animated when it moves: there are
// dozens on the page, and each that moved by itself would be drawn anew with every frame.

import { make } from "./format.js";

export function gauge(tag) {
  const fill = make("i");
  let shown = "";
  return {
    node: make(tag, { "aria-hidden": "true" }, fill),
    set(part) {
      const size = Math.min(1, Math.max(0, part ?? 0)).toFixed(2);
      if (size === shown) return;
      shown = size;
      fill.style.transform = tag === "level-bar" ? `scaleY(${size})` : `scaleX(${size})`;
    },
  };
}
