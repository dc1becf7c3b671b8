// The player of a song: the controls, its samples and levels, and the timeline.

import { type Hearings, LEVELS, type Level } from "../site/contract";
import { type Deck, playableLevel } from "./deck";
import { h } from "../parts/dom";
import { durationOf, loudest, NOTHING, type Programme } from "./programme";
import { capital } from "../parts/text";
import { Timeline } from "./timeline";
import { PlayOn, Transport } from "./transport";

const FEW = 8; // samples that are shown as buttons, not as a menu
const ABOUT: Record<Level, string> = {
  top: "Top level: the outline, few codes a second",
  middle: "Middle level: the top level's music with more detail",
  bottom: "Bottom level: the final audio",
};

export class Player {
  readonly element: HTMLElement;
  readonly playOn = new PlayOn();
  private readonly timeline: Timeline;
  private readonly transport: Transport;
  private readonly levelBox = h("div", { class: "segments", role: "group", "aria-label": "Level" });
  private readonly sampleBox = h("div", { class: "which" });
  private loudest = 1;
  private programme: Programme = NOTHING;

  constructor(
    private readonly deck: Deck,
    private readonly act: { seek: (time: number) => void; level: (level: Level) => void; sample: (sample: number) => void },
  ) {
    this.timeline = new Timeline((time) => act.seek(time));
    this.transport = new Transport(deck, this.sampleBox, this.levelBox, this.playOn.button);
    this.element = h("section", { class: "player", "aria-label": "Player" }, this.transport.element, this.transport.problem, this.timeline.element);
    deck.on("time", () => this.timeline.moveTo(deck.time));
    deck.on("level", () => this.redraw());
  }

  /** Show a programme and the number of its sample. The caller updates the deck. */
  show(programme: Programme, samples: SampleChoice[], sample: number): void {
    this.programme = programme;
    this.loudest = loudest(programme);
    this.transport.complain(null);
    swap(this.sampleBox, ...(samples.length < 2 ? [] : sampleChoice(samples, sample, this.act.sample)));
    this.redraw();
  }

  recolour(): void {
    this.timeline.recolour();
  }

  /** Levels that can be played. */
  get levels(): Level[] {
    const all: Hearings = Object.assign({}, ...this.programme.parts.map((part) => part.levels));
    return LEVELS.filter((level) => all[level] !== undefined);
  }

  /** Show the levels that can be played, and the waveform of the current one. */
  private redraw(): void {
    const { level } = this.deck;
    swap(this.levelBox, ...this.levels.map((one) => segment(capital(one), ABOUT[one], one === level, () => this.act.level(one))));
    this.timeline.show({
      ...this.programme,
      stretches: stretchesOf(this.programme, this.deck.wanted),
      duration: durationOf(this.programme),
      loudest: this.loudest,
    });
    this.transport.moved();
    this.timeline.moveTo(this.deck.time);
  }
}

/** A sample that can be chosen. */
export interface SampleChoice {
  number: number;
  quiet: boolean;
}

/** Return the recordings of a programme at a level; parts without it have their lowest. */
export function stretchesOf({ parts }: Programme, level: Level | null) {
  return parts.map((part) => {
    const one = playableLevel(part.levels, level);
    return { start: part.start, seconds: part.seconds, hearing: one === null ? null : (part.levels[one] ?? null) };
  });
}

/** Make buttons for a few samples, or a menu for many, with a label before it. */
export function sampleChoice(samples: SampleChoice[], sample: number, choose: (sample: number) => void): HTMLElement[] {
  const label = h("span", { "aria-hidden": "true" }, "Sample");
  if (samples.length <= FEW) {
    const buttons = samples.map(({ number, quiet }) => {
      const button = segment(String(number), quiet ? `Sample ${number}, nearly silent` : `Sample ${number}`, number === sample, () => choose(number));
      button.classList.toggle("quiet", quiet);
      return button;
    });
    return [label, h("div", { class: "segments", role: "group", "aria-label": "Sample" }, ...buttons)];
  }
  const options = samples.map(({ number, quiet }) =>
    h("option", { value: number, selected: number === sample }, quiet ? `${number} (nearly silent)` : String(number)),
  );
  const menu: HTMLSelectElement = h("select", { "aria-label": "Sample", onchange: () => choose(Number(menu.value)) }, ...options);
  return [label, menu];
}

function segment(text: string, title: string, on: boolean, choose: () => void): HTMLButtonElement {
  return h("button", { type: "button", title, "aria-pressed": String(on), onclick: choose }, text);
}

/** Replace the choices in a box; a focus on one of them moves to the chosen one. */
export function swap(box: HTMLElement, ...choices: HTMLElement[]): void {
  const within = box.contains(document.activeElement);
  box.replaceChildren(...choices);
  if (within) box.querySelector<HTMLElement>("[aria-pressed=true], select")?.focus();
}
