// The list of songs. Only the visible rows exist in the page, however many songs there are.

import type { Catalogue, Entry } from "../site/catalogue";
import { bdi, h, icon } from "../parts/dom";
import { PAUSE, PLAY, STAR } from "../parts/icons";
import { outlineBars } from "../parts/outline";
import { date, length } from "../parts/text";

const ROW = 62; // pixels, as in the style sheet
const BARS = 24; // of an outline
const BEYOND = 6; // rows above and below the visible ones
const LONGEST = 200; // characters of a name in a row

export class List {
  readonly element: HTMLElement;
  private readonly inner = h("div", { class: "rows", role: "rowgroup" });
  private readonly rows = new Map<number, HTMLElement>();
  private places: Uint32Array = new Uint32Array();
  private active = -1; // row with the keyboard focus
  private open: string | null = null;
  private playing: string | null = null;
  private frame = 0;

  constructor(
    private readonly catalogue: Catalogue,
    private readonly act: { open: (id: string) => void; play: (id: string) => void },
  ) {
    this.element = h(
      "div",
      {
        class: "list",
        role: "grid",
        tabindex: 0,
        "aria-label": "Songs",
        onscroll: () => {
          cancelAnimationFrame(this.frame);
          this.frame = requestAnimationFrame(() => this.draw());
        },
        onclick: (event: MouseEvent) => this.click(event),
        onfocus: () => this.active < 0 && this.places.length > 0 && this.moveTo(Math.max(this.rowOf(this.open), 0)),
      },
      this.inner,
    );
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  show(places: Uint32Array, open: string | null): void {
    const changed = places !== this.places;
    this.places = places;
    this.open = open;
    this.element.setAttribute("aria-rowcount", String(places.length));
    const row = this.rowOf(open);
    if (changed) {
      for (const element of this.rows.values()) element.remove();
      this.rows.clear();
      this.inner.style.height = `${places.length * ROW}px`;
      this.element.scrollTop = 0;
      this.active = row;
      if (row >= 0) this.element.scrollTop = row * ROW - (this.element.clientHeight - ROW) / 2;
    } else if (row >= 0 && row !== this.active) this.moveTo(row);
    this.draw();
  }

  /** Move the keyboard focus by some rows; Enter opens the row. */
  step(by: number): void {
    if (this.places.length === 0) return;
    const from = this.active < 0 ? (by > 0 ? -1 : 0) : this.active;
    this.moveTo(Math.min(Math.max(from + by, 0), this.places.length - 1));
  }

  get perPage(): number {
    return Math.max(1, Math.floor(this.element.clientHeight / ROW) - 1);
  }

  /** Open the row with the keyboard focus. */
  enter(): void {
    const place = this.places[this.active];
    if (place !== undefined) this.act.open(this.catalogue.entry(place).id);
  }

  /** Play the row with the keyboard focus. */
  play(): void {
    const place = this.places[this.active];
    if (place !== undefined && this.catalogue.entry(place).levels !== "") this.act.play(this.catalogue.entry(place).id);
  }

  /** Return the next song of the list after one, of those that can be played and are not silent; null without one. */
  after(id: string): string | null {
    for (let row = this.rowOf(id) + 1; row > 0 && row < this.places.length; row++) {
      const song = this.catalogue.entry(this.places[row] as number);
      if (song.levels !== "" && !song.quiet) return song.id;
    }
    return null;
  }

  /** Show which song plays; null for none. */
  showPlaying(id: string | null): void {
    if (id === this.playing) return;
    this.playing = id;
    this.draw();
  }

  /** Draw all rows again, after a change of titles or stars. */
  refresh(): void {
    for (const element of this.rows.values()) element.remove();
    this.rows.clear();
    this.draw();
  }

  private rowOf(id: string | null): number {
    return id === null ? -1 : this.places.indexOf(this.catalogue.placeOf(id));
  }

  private moveTo(row: number): void {
    this.active = row;
    this.reveal(row);
    this.draw();
  }

  private reveal(row: number): void {
    const { scrollTop, clientHeight } = this.element;
    if (row * ROW < scrollTop) this.element.scrollTop = row * ROW;
    else if ((row + 1) * ROW > scrollTop + clientHeight) this.element.scrollTop = (row + 1) * ROW - clientHeight;
  }

  private draw(): void {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - BEYOND);
    const last = Math.min(this.places.length, Math.ceil((scrollTop + clientHeight) / ROW) + BEYOND);
    for (const [row, element] of this.rows) {
      if ((row >= first && row < last) || row === this.active) continue;
      element.remove();
      this.rows.delete(row);
    }
    for (let row = first; row < last; row++) this.make(row);
    if (this.active >= 0 && this.active < this.places.length) this.make(this.active);
    for (const [row, element] of this.rows) {
      element.classList.toggle("active", row === this.active);
      this.mark(element);
      element.setAttribute("aria-selected", String(element.dataset["song"] === this.open));
    }
    if (this.rows.has(this.active)) this.element.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  private make(row: number): void {
    const place = this.places[row];
    if (this.rows.has(row) || place === undefined) return;
    const element = this.row(this.catalogue.entry(place), row);
    element.style.transform = `translateY(${row * ROW}px)`;
    this.rows.set(row, element);
    this.inner.append(element);
  }

  private row(song: Entry, row: number): HTMLElement {
    const by = [song.artist ?? "No artist", ...song.genres].map((name) => bdi(short(name)));
    const remark = song.state !== "whole" ? song.state : song.quiet ? "nearly silent" : song.kind;
    const star = song.star ? h("span", { class: "row-star", role: "img", "aria-label": "Starred" }, icon(STAR, true)) : null;
    return h(
      "div",
      {
        class: "row",
        id: `row-${row}`,
        role: "row",
        "aria-rowindex": row + 1,
        "data-song": song.id,
        title: date(song.made),
      },
      h("div", { class: "row-thumb", role: "gridcell" }, this.thumb(song)),
      h(
        "div",
        { class: "row-text", role: "gridcell" },
        h("div", { class: "row-title" }, bdi(short(song.title) || "Untitled")),
        h("div", { class: "row-by" }, ...by.flatMap((name, place) => (place === 0 ? [name] : [" · ", name]))),
      ),
      h(
        "div",
        { class: "row-facts", role: "gridcell" },
        h("div", { class: "row-length" }, star, song.seconds > 0 ? length(song.seconds) : "–"),
        h("div", { class: "row-kind", "data-state": song.state, "data-quiet": song.quiet }, remark),
      ),
    );
  }

  /** Make the play button of a row, over the outline of its waveform. */
  private thumb(song: Entry): HTMLElement {
    const bars = outlineBars(song.outline, BARS, song.seconds > 0 ? song.prompt / song.seconds : 0);
    if (song.levels === "") return h("span", { class: "thumb" }, bars);
    return h(
      "button",
      { type: "button", class: "thumb", tabindex: -1, "aria-label": `Play ${short(song.title) || "Untitled"}`, title: "Play (p)", "data-play": "" },
      bars,
      h("span", { class: "thumb-icon" }, icon(PLAY, true)),
    );
  }

  private click(event: MouseEvent): void {
    const target = event.target as Element;
    const element = target.closest<HTMLElement>(".row") ?? this.rowAt(event.clientY);
    const id = element?.dataset["song"];
    if (element === null || id === undefined) return;
    this.active = Number(element.id.slice("row-".length));
    if (target.closest("[data-play]") !== null) this.act.play(id);
    else this.act.open(id);
  }

  /** Return the row at a height of the window: rows may be replaced between press and release, and then none is the target. */
  private rowAt(height: number): HTMLElement | null {
    return this.rows.get(Math.floor((height - this.inner.getBoundingClientRect().top) / ROW)) ?? null;
  }

  /** Mark the row of the song that plays, or none. */
  private mark(element: HTMLElement): void {
    const playing = element.dataset["song"] === this.playing;
    if (element.classList.toggle("playing", playing) === (element.querySelector("[data-pause]") !== null)) return;
    const button = element.querySelector(".thumb-icon");
    button?.replaceChildren(icon(playing ? PAUSE : PLAY, true));
    button?.toggleAttribute("data-pause", playing);
    const name = element.querySelector(".row-title")?.textContent ?? "";
    button?.parentElement?.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${name}`);
  }
}

function short(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
