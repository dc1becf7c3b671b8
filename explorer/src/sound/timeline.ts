// The timeline: waveform over spectrogram, prompt and new music, changes of labels, and the position.

import { ownUrl } from "../site/contract";
import { bdi, h } from "../parts/dom";
import { clock, length, spoken } from "../parts/text";
import { frequencyAt, type Hertz, marks, withNote } from "./frequencies";
import type { Mark } from "./programme";
import { type Stretch, Waveform } from "./waveform";

/** What a timeline shows. */
export interface Shown {
  stretches: Stretch[];
  duration: number; // seconds
  span?: number; // seconds of the whole width, if another timeline below has the same scale
  loudest: number;
  prompt: number;
  changes: Mark[];
  joints: Mark[];
}

const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const FAINT = 5; // pixels of movement that still count as a click

export class Timeline {
  readonly element: HTMLElement;
  readonly slider: HTMLElement;
  private duration = 0;
  private span = 0; // seconds of the whole width
  private hertz: Hertz | null = null; // of the spectrograms
  private readonly waveform = new Waveform();
  private readonly pictures = h("div", { class: "spectrograms" });
  private readonly regions = h("div", { class: "regions" });
  private readonly marks = h("div", { class: "marks" });
  private readonly labels = h("div", { class: "labels" });
  private readonly ticks = h("div", { class: "ticks", "aria-hidden": "true" });
  private readonly cursor = h("div", { class: "cursor" });
  private readonly scale = h("div", { class: "scale", "aria-hidden": "true" });
  private readonly hover = h("div", { class: "hover", hidden: true });

  constructor(seek: (time: number) => void, name = "Position in the music") {
    this.slider = h(
      "div",
      {
        class: "track",
        role: "slider",
        tabindex: 0,
        "aria-label": name,
        "aria-valuemin": 0,
        onpointerdown: (event: PointerEvent) => this.drag(event, seek),
        onpointermove: (event: PointerEvent) => this.point(event),
        onpointerleave: () => (this.hover.hidden = true),
      },
      this.waveform.element,
      this.pictures,
      this.scale,
      this.marks,
      this.hover,
      this.cursor,
    );
    this.element = h("div", { class: "timeline" }, this.regions, this.labels, this.slider, this.ticks);
    new ResizeObserver(() => this.fit()).observe(this.slider);
  }

  show({ stretches, duration, span = duration, loudest, prompt, changes, joints }: Shown): void {
    this.duration = duration;
    this.span = span;
    this.slider.setAttribute("aria-valuemax", String(Math.round(duration)));
    void this.waveform.show(stretches, span, loudest).then(() => this.moveTo(this.time));
    this.pictures.replaceChildren(...stretches.flatMap((stretch) => this.picture(stretch)));
    this.hertz = stretches.find(({ hearing }) => hearing?.hertz !== undefined && ownUrl(hearing.spectrogram) !== null)?.hearing?.hertz ?? null;
    this.scale.replaceChildren(...this.frequencies());
    this.regions.replaceChildren(...this.stretch(prompt));
    const named = [...joints, ...changes].filter((mark) => mark.at < duration).sort((one, other) => one.at - other.at);
    const ends = prompt > 0 && prompt < duration ? [prompt] : [];
    this.marks.replaceChildren(...[...ends, ...named.map((mark) => mark.at)].map((at) => this.line(at)));
    this.labels.replaceChildren(...named.map((mark, place) => this.label(mark, named[place + 1]?.at ?? span)));
    this.fit();
  }

  /** Update everything that depends on the width. */
  private fit(): void {
    this.ticks.replaceChildren(...this.times());
    this.labels.classList.remove("tall");
    const cut = [...this.labels.children].some((label) => label.scrollWidth > label.clientWidth);
    this.labels.classList.toggle("tall", cut); // two lines if a label does not fit in one
  }

  moveTo(time: number): void {
    this.time = time;
    this.waveform.moveTo(time);
    this.cursor.style.left = this.across(time);
    const said = `${spoken(time)} of ${spoken(this.duration)}`;
    if (this.slider.getAttribute("aria-valuetext") === said) return;
    this.slider.setAttribute("aria-valuenow", String(Math.round(time)));
    this.slider.setAttribute("aria-valuetext", said);
  }

  recolour(): void {
    this.waveform.recolour();
    this.moveTo(this.time);
  }

  private time = 0;

  private across(time: number): string {
    return `${this.span > 0 ? Math.min(Math.max(time / this.span, 0), 1) * 100 : 0}%`;
  }

  private picture({ start, hearing }: Stretch): HTMLElement[] {
    const url = ownUrl(hearing?.spectrogram);
    if (hearing === null || url === null) return [];
    const image = h("img", { src: url, alt: "", draggable: "false", decoding: "async" });
    image.style.left = this.across(start);
    image.style.width = this.across(hearing.seconds);
    return [image];
  }

  private stretch(prompt: number): HTMLElement[] {
    if (prompt <= 0 || this.duration <= 0) return [];
    const given = h("div", { class: "region given" }, h("span", {}, `Prompt ${length(prompt)}`));
    given.style.width = this.across(prompt);
    if (prompt >= this.duration) return [given];
    const fresh = h("div", { class: "region new" }, h("span", {}, `New ${length(this.duration - prompt)}`));
    fresh.style.maxWidth = this.across(this.duration - prompt);
    return [given, fresh];
  }

  private line(at: number): HTMLElement {
    const line = h("div", { class: "mark" });
    line.style.left = this.across(at);
    return line;
  }

  /** Make the label of a mark, as wide as the space before the next one. */
  private label(mark: Mark, until: number): HTMLElement {
    const label = bdi(mark.label, { title: `${clock(mark.at)} ${mark.label}` });
    label.style.left = this.across(mark.at);
    label.style.maxWidth = this.across(until - mark.at);
    return label;
  }

  /** Make the labels of the frequency axis, over the spectrogram. */
  private frequencies(): HTMLElement[] {
    return (this.hertz === null ? [] : marks(this.hertz)).map(({ label, height }) => {
      const mark = h("span", {}, label);
      mark.style.bottom = `${height * 100}%`;
      return mark;
    });
  }

  private times(): HTMLElement[] {
    const most = Math.max(2, Math.floor(this.slider.clientWidth / 70) || 8);
    const step = TICKS.find((seconds) => this.span / seconds <= most) ?? 7200;
    const ticks: HTMLElement[] = [];
    for (let at = 0; at <= this.span; at += step) {
      const tick = h("span", {}, clock(at));
      tick.style.left = this.across(at);
      if (at > this.span * 0.96) tick.classList.add("last");
      ticks.push(tick);
    }
    return ticks;
  }

  private timeAt(event: PointerEvent): number {
    const { left, width } = this.slider.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - left) / Math.max(width, 1), 0), 1) * this.span;
  }

  private point(event: PointerEvent): void {
    if (event.pointerType === "touch") return;
    const time = this.timeAt(event);
    this.hover.hidden = false;
    this.hover.style.left = this.across(time);
    this.hover.textContent = [clock(time), ...this.pitch(event)].join(" · ");
  }

  /** Return the frequency under the pointer, and its note; nothing outside the spectrogram. */
  private pitch(event: PointerEvent): string[] {
    const { top, height } = this.pictures.getBoundingClientRect();
    const at = 1 - (event.clientY - top) / Math.max(height, 1);
    return this.hertz === null || at < 0 || at > 1 ? [] : [withNote(frequencyAt(at, this.hertz))];
  }

  private drag(down: PointerEvent, seek: (time: number) => void): void {
    if (down.button !== 0) return;
    this.slider.setPointerCapture(down.pointerId);
    let moved = false;
    const move = (event: PointerEvent) => {
      moved ||= Math.abs(event.clientX - down.clientX) > FAINT;
      if (moved) this.cursor.style.left = this.across(this.timeAt(event));
    };
    const stop = (event: PointerEvent) => {
      this.slider.removeEventListener("pointermove", move);
      this.slider.removeEventListener("pointerup", stop);
      this.slider.removeEventListener("pointercancel", stop);
      if (event.type === "pointerup") seek(this.timeAt(event));
      else this.moveTo(this.time);
    };
    this.slider.addEventListener("pointermove", move);
    this.slider.addEventListener("pointerup", stop);
    this.slider.addEventListener("pointercancel", stop);
  }
}
