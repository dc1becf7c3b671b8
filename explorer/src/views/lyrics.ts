// Lyrics: the word that is sung is highlighted, and a click on a word plays from there.

import type { Lyrics } from "../site/contract";
import { h } from "../parts/dom";

interface Sung {
  start: number;
  end: number | null;
  element: HTMLElement;
}

const LINGER = 1.5; // seconds that a word without an end stays highlighted

export class LyricsView {
  readonly element: HTMLElement;
  private readonly words: Sung[] = [];
  private lit: Sung | null = null;
  private readonly scroller: HTMLElement;

  constructor(lyrics: Lyrics, seek: (time: number) => void) {
    this.scroller = h("div", { class: "lyrics", dir: "auto", tabindex: 0, role: "region", "aria-labelledby": "lyrics-heading" });
    const characters = Array.from(lyrics.text); // offsets count code points, not UTF-16 units
    let at = 0;
    for (const word of [...lyrics.words].sort((one, other) => one.from - other.from)) {
      const { start } = word;
      if (start === null || word.from < at || word.to <= word.from || word.to > characters.length) continue;
      const element = h(
        "span",
        { class: "word", role: "button", tabindex: this.words.length === 0 ? 0 : -1, onclick: () => seek(start) },
        characters.slice(word.from, word.to).join(""),
      );
      this.scroller.append(characters.slice(at, word.from).join(""), element);
      this.words.push({ start, end: word.end, element });
      at = word.to;
    }
    this.scroller.append(characters.slice(at).join(""));
    this.words.sort((one, other) => one.start - other.start);
    this.scroller.addEventListener("keydown", (event) => this.press(event, seek));
    const about = this.words.length > 0 ? "Click a word to play from there; arrow keys move between words." : null;
    this.element = h(
      "section",
      { class: "panel" },
      h("h2", { id: "lyrics-heading" }, "Lyrics"),
      this.scroller,
      about !== null && h("p", { class: "note" }, about),
    );
  }

  moveTo(time: number): void {
    const place = this.words.findLastIndex((word) => word.start <= time + 0.02);
    const word = this.words[place];
    const end = word === undefined ? 0 : (word.end ?? Math.min(this.words[place + 1]?.start ?? Infinity, word.start + LINGER));
    const sung = word !== undefined && time < end ? word : null;
    if (sung === this.lit) return;
    this.lit?.element.classList.remove("lit");
    this.lit?.element.removeAttribute("aria-current");
    this.lit = sung;
    if (sung === null) return;
    sung.element.classList.add("lit");
    sung.element.setAttribute("aria-current", "true");
    this.follow(sung.element);
  }

  /** Keep the word visible by scrolling the lyrics only, not the page. */
  private follow(element: HTMLElement): void {
    const [box, word] = [this.scroller.getBoundingClientRect(), element.getBoundingClientRect()];
    if (word.top >= box.top + 24 && word.bottom <= box.bottom - 48) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollBy({ top: word.top - box.top - box.height / 3, behavior: still ? "auto" : "smooth" });
  }

  private press(event: KeyboardEvent, seek: (time: number) => void): void {
    const place = this.words.findIndex((word) => word.element === event.target);
    const word = this.words[place];
    if (word === undefined) return;
    if (event.key === "Enter" || event.key === " ") seek(word.start);
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const next = this.words[place + (event.key === "ArrowRight" ? 1 : -1)];
      if (next === undefined) return;
      word.element.tabIndex = -1;
      next.element.tabIndex = 0;
      next.element.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
