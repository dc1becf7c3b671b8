// Help on the keyboard shortcuts.

import { h } from "./dom";

const KEYS: [string[], string][] = [
  [["/"], "search"],
  [["j", "k", "↓", "↑"], "next and previous song"],
  [["Enter"], "open the song"],
  [["p"], "play the marked song of the list"],
  [["Space"], "play and pause"],
  [["←", "→"], "five seconds back and on"],
  [["1", "2", "3"], "top, middle and bottom level"],
  [["[", "]"], "previous and next sample"],
  [["s"], "star the song"],
  [["c"], "compare the song with another"],
  [["x"], "switch between the two songs, A and B"],
  [["Esc"], "back"],
  [["?"], "these keys"],
];

export function helpDialog(): HTMLDialogElement {
  const dialog: HTMLDialogElement = h(
    "dialog",
    { class: "dialog help", "aria-labelledby": "help-heading", onclick: (event: MouseEvent) => event.target === dialog && dialog.close() },
    h(
      "div",
      { class: "dialog-body" },
      h("h2", { id: "help-heading" }, "Keys"),
      h(
        "dl",
        {},
        ...KEYS.flatMap(([keys, what]) => [
          h("dt", {}, ...keys.flatMap((key, place) => (place === 0 ? [h("kbd", {}, key)] : [" ", h("kbd", {}, key)]))),
          h("dd", {}, what),
        ]),
      ),
      h("p", { class: "note" }, "The address always holds what is shown: song, sample, level, path and time."),
      h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Close"),
    ),
  );
  return dialog;
}
