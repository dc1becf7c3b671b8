// The list of songs. Only the visible rows exist in the page, however many songs there are.

import type { Catalogue, Entry } from "../site/catalogue";
import { bdi, h } from "../parts/dom";
import { date, length } from "../parts/text";

const ROW = 62; // pixels, as in the style sheet
const BEYOND = 6; // rows above and below the visible ones
const LONGEST = 200; // characters of a name in a row

export class List {
  readonly element: HTMLElement;
  private readonly inner = h("div", { class: "rows", role: "presentation" });
  private readonly rows = new Map<number, HTMLElement>();
  private places: Uint32Array = new Uint32Array();
  private active = -1; // row with the keyboard focus
  private open: string | null = null;
  private frame = 0;

  constructor(
    private readonly catalogue: Catalogue,
    private readonly choose: (id: string) => void,
  ) {
    this.element = h(
      "div",
      {
        class: "list",
        role: "listbox",
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
    if (place !== undefined) this.choose(this.catalogue.entry(place).id);
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
    const remark = song.state !== "whole" ? song.state : song.kind;
    return h(
      "div",
      {
        class: "row",
        id: `row-${row}`,
        role: "option",
        "aria-posinset": row + 1,
        "aria-setsize": this.places.length,
        "data-song": song.id,
        title: date(song.made),
      },
      h("div", { class: "row-title" }, bdi(short(song.title) || "Untitled")),
      h("div", { class: "row-length" }, song.seconds > 0 ? length(song.seconds) : "–"),
      h("div", { class: "row-by" }, ...by.flatMap((name, place) => (place === 0 ? [name] : [" · ", name]))),
      h("div", { class: "row-kind", "data-state": song.state }, remark),
    );
  }

  private click(event: MouseEvent): void {
    const element = (event.target as Element).closest<HTMLElement>(".row");
    const id = element?.dataset["song"];
    if (element === null || id === undefined) return;
    this.active = Number(element.id.slice("row-".length));
    this.choose(id);
  }
}

function short(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
