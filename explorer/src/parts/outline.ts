// The outline of a song as small bars, for lists: the digits that jukectl explore writes, see explorer/outline.py.

import { svg } from "./dom";

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEIGHT = 40;

/** Draw an outline in so many bars; the share `prompt` of it, 0..1, is a recording that was given. */
export function outlineBars(outline: string, bars: number, prompt: number): SVGSVGElement {
  const heights = fewer([...outline].map((digit) => Math.max(DIGITS.indexOf(digit), 0) / (DIGITS.length - 1)), bars);
  const given = Math.round(prompt * bars);
  const path = (from: number, to: number) =>
    heights
      .slice(from, to)
      .map((height, place) => {
        const half = Math.max((height * (HEIGHT - 4)) / 2, 0.5);
        return `M${from + place + 0.5} ${(HEIGHT / 2 - half).toFixed(1)}v${(2 * half).toFixed(1)}`;
      })
      .join("");
  return svg(
    "svg",
    { viewBox: `0 0 ${bars} ${HEIGHT}`, preserveAspectRatio: "none", class: "outline", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: path(0, given), class: "given" }),
    svg("path", { d: path(given, bars) }),
  );
}

/** Return the highest of each of `bars` equal parts. */
function fewer(heights: number[], bars: number): number[] {
  return Array.from({ length: bars }, (_, bar) => {
    const [from, to] = [Math.floor((bar * heights.length) / bars), Math.ceil(((bar + 1) * heights.length) / bars)];
    return Math.max(0, ...heights.slice(from, to));
  });
}
