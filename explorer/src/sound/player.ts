// The player: the timeline and its controls.

import { type Hearings, LEVELS, type Level } from "../site/contract";
import { type Deck, heard, type Part } from "./deck";
import { h, icon } from "../parts/dom";
import { recall, remember } from "../site/memory";
import { capital, clock, length } from "../parts/text";
import { type Mark, Timeline } from "./timeline";

/** A timeline of parts, with marks on it. */
export interface Programme {
  parts: Part[];
  prompt: number;
  changes: Mark[];
  joints: Mark[];
}

const PLAY = "M8 5.5v13l11-6.5z";
const PAUSE = "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z";
const FEW = 8; // samples that are shown as buttons, not as a menu
const QUIETEST = 0.05; // peak below which the waveform is not enlarged further
const ABOUT: Record<Level, string> = {
  top: "Top level: the outline, few codes a second",
  middle: "Middle level: the top level's music with more detail",
  bottom: "Bottom level: the final audio",
};

export class Player {
  readonly element: HTMLElement;
  private readonly timeline: Timeline;
  private readonly button: HTMLButtonElement;
  private readonly now = h("span", { class: "now" });
  private readonly whole = h("span", { class: "whole" });
  private readonly levelBox: HTMLElement;
  private readonly sampleBox = h("div", { class: "which" });
  private readonly volume: HTMLInputElement;
  private readonly problem = h("p", { class: "problem", role: "alert", hidden: true });
  private loudest = 1;
  private duration = 0; // seconds
  private programme: Programme = { parts: [], prompt: 0, changes: [], joints: [] };

  constructor(
    private readonly deck: Deck,
    private readonly act: { seek: (time: number) => void; level: (level: Level) => void; sample: (sample: number) => void },
  ) {
    this.timeline = new Timeline((time) => act.seek(time));
    this.button = h("button", { type: "button", class: "play", onclick: () => deck.toggle() });
    this.levelBox = h("div", { class: "segments", role: "group", "aria-label": "Level" });
    this.volume = h("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.05,
      value: recall("volume") ?? "1",
      "aria-label": "Volume",
      oninput: () => this.turn(),
    });
    this.element = h(
      "section",
      { class: "player", "aria-label": "Player" },
      h(
        "div",
        { class: "controls" },
        this.button,
        h("div", { class: "clock" }, this.now, h("span", { class: "of" }, "/"), this.whole),
        this.sampleBox,
        this.levelBox,
        h("label", { class: "volume" }, icon("M4 10v4h3.5L12 18V6l-4.5 4zM15.5 9a4 4 0 0 1 0 6M18 6.5a7.5 7.5 0 0 1 0 11"), this.volume),
      ),
      this.problem,
      this.timeline.element,
    );
    deck.on("time", () => this.moved());
    deck.on("state", () => this.pressed());
    deck.on("level", () => this.redraw());
    deck.on("problem", () => this.complain("This recording cannot be played here."));
    this.turn();
    this.pressed();
  }

  /** Show a programme and the number of its sample. The caller updates the deck. */
  show(programme: Programme, samples: number[], sample: number): void {
    this.programme = programme;
    this.loudest = loudest(programme);
    this.complain(null);
    const label = h("span", { "aria-hidden": "true" }, "Sample");
    swap(this.sampleBox, ...(samples.length < 2 ? [] : [label, this.choice(samples, sample)]));
    this.redraw();
  }

  recolour(): void {
    this.timeline.recolour();
  }

  complain(problem: string | null): void {
    this.problem.hidden = problem === null;
    this.problem.textContent = problem;
  }

  /** Levels that can be played. */
  get levels(): Level[] {
    const all: Hearings = Object.assign({}, ...this.programme.parts.map((part) => part.levels));
    return LEVELS.filter((level) => all[level] !== undefined);
  }

  /** Show the levels that can be played, and the waveform of the current one. */
  redraw(): void {
    const { parts, prompt, changes, joints } = this.programme;
    const level = this.deck.level;
    swap(
      this.levelBox,
      ...this.levels.map((one) =>
        segment(capital(one), ABOUT[one], one === level, () => this.act.level(one)),
      ),
    );
    const stretches = parts.map((part) => {
      const one = heard(part.levels, level);
      return { start: part.start, seconds: part.seconds, hearing: one === null ? null : (part.levels[one] ?? null) };
    });
    const last = parts.at(-1);
    const duration = last === undefined ? 0 : last.start + last.seconds;
    this.duration = duration;
    this.timeline.show(stretches, duration, this.loudest, prompt, changes, joints);
    this.whole.textContent = length(duration);
    this.moved();
  }

  /** Make buttons for a few samples, or a menu for many. */
  private choice(samples: number[], sample: number): HTMLElement {
    if (samples.length <= FEW) {
      const buttons = samples.map((number) => segment(String(number), `Sample ${number}`, number === sample, () => this.act.sample(number)));
      return h("div", { class: "segments", role: "group", "aria-label": "Sample" }, ...buttons);
    }
    const options = samples.map((number) => h("option", { value: number, selected: number === sample }, String(number)));
    const menu: HTMLSelectElement = h("select", { "aria-label": "Sample", onchange: () => this.act.sample(Number(menu.value)) }, ...options);
    return menu;
  }

  private moved(): void {
    const { time } = this.deck;
    this.timeline.moveTo(time);
    const text = time < this.duration - 0.05 ? clock(time) : length(this.duration); // the same rounding as the total length
    if (this.now.textContent !== text) this.now.textContent = text;
  }

  private pressed(): void {
    this.button.replaceChildren(icon(this.deck.playing ? PAUSE : PLAY, true));
    this.button.setAttribute("aria-label", this.deck.playing ? "Pause" : "Play");
    this.element.classList.toggle("playing", this.deck.playing);
  }

  private turn(): void {
    const volume = Number(this.volume.value);
    this.deck.setVolume(Number.isFinite(volume) ? Math.min(Math.max(volume, 0), 1) : 1);
    this.volume.style.setProperty("--part", `${volume * 100}%`);
    remember("volume", this.volume.value);
  }
}

/** Return the highest peak of all levels, 0..1: quiet music is enlarged, by the same factor at all levels. */
function loudest({ parts }: Programme): number {
  let found = QUIETEST;
  for (const { peaks } of parts.flatMap((part) => Object.values(part.levels))) {
    for (const [low, high] of peaks) found = Math.max(found, -low / 127, high / 127);
  }
  return found;
}

function segment(text: string, title: string, on: boolean, choose: () => void): HTMLButtonElement {
  return h("button", { type: "button", title, "aria-pressed": String(on), onclick: choose }, text);
}

/** Replace the choices in a box; a focus on one of them moves to the chosen one. */
function swap(box: HTMLElement, ...choices: HTMLElement[]): void {
  const within = box.contains(document.activeElement);
  box.replaceChildren(...choices);
  if (within) box.querySelector<HTMLElement>("[aria-pressed=true], select")?.focus();
}
