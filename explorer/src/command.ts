// A command as it is read: lines break between its words, and an option stays with its value where that fits.

import { h } from "./dom";

/** The text in pieces; all of them together say just what it says, blanks and all. */
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
