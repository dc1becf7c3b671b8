// A command for display: lines break between words, and an option stays with its value if it fits.

import { h } from "./dom";

/** Split a command into pieces that join to exactly the same text. */
export function words(command: string): (HTMLElement | string)[] {
  const tokens = command.match(/(?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+|\s+/g) ?? [];
  if (tokens.join("") !== command) return [command];
  const pieces: (HTMLElement | string)[] = [];
  for (let place = 0; place < tokens.length; place++) {
    const [token, blank, value] = tokens.slice(place, place + 3);
    if (token === undefined || /^\s/.test(token)) pieces.push(token ?? "");
    else if (token.startsWith("--") && blank !== undefined && value !== undefined && !value.startsWith("--")) {
      pieces.push(h("span", { class: "option" }, word(token), blank, word(value)));
      place += 2;
    } else pieces.push(word(token));
  }
  return pieces;
}

const word = (text: string): HTMLElement => h("span", { class: "shell-word" }, text);
