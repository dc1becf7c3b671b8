// The controls that every player has: play, time, volume, and whether the next song follows.

import { h, icon } from "../parts/dom";
import { NEXT, PAUSE, PLAY, VOLUME } from "../parts/icons";
import { clock, length } from "../parts/text";
import { recall, remember } from "../site/memory";
import type { Deck } from "./deck";

export class Transport {
  readonly element: HTMLElement;
  readonly problem = h("p", { class: "problem", role: "alert", hidden: true });
  private readonly button: HTMLButtonElement;
  private readonly now = h("span", { class: "now" });
  private readonly whole = h("span", { class: "whole" });
  private readonly volume: HTMLInputElement;

  /** Make the controls, with others between the time and the volume. */
  constructor(
    private readonly deck: Deck,
    ...others: HTMLElement[]
  ) {
    this.button = h("button", { type: "button", class: "play", onclick: () => deck.toggle() });
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
      "div",
      { class: "controls" },
      this.button,
      h("div", { class: "clock" }, this.now, h("span", { class: "of" }, "/"), this.whole),
      ...others,
      h("label", { class: "volume" }, icon(VOLUME), this.volume),
    );
    deck.on("time", () => this.moved());
    deck.on("state", () => this.pressed());
    deck.on("problem", () => this.complain("This recording cannot be played here."));
    this.turn();
    this.pressed();
  }

  complain(problem: string | null): void {
    this.problem.hidden = problem === null;
    this.problem.textContent = problem;
  }

  moved(): void {
    const { time, duration } = this.deck;
    const text = time < duration - 0.05 ? clock(time) : length(duration); // the same rounding as the total length
    if (this.now.textContent !== text) this.now.textContent = text;
    if (this.whole.textContent !== length(duration)) this.whole.textContent = length(duration);
  }

  private pressed(): void {
    this.button.replaceChildren(icon(this.deck.playing ? PAUSE : PLAY, true));
    this.button.setAttribute("aria-label", this.deck.playing ? "Pause" : "Play");
  }

  private turn(): void {
    const volume = Number(this.volume.value);
    this.deck.setVolume(Number.isFinite(volume) ? Math.min(Math.max(volume, 0), 1) : 1);
    this.volume.style.setProperty("--part", `${volume * 100}%`);
    remember("volume", this.volume.value);
  }
}

/** A choice, kept between visits, to go on with the next song. */
export class PlayOn {
  readonly button: HTMLButtonElement;
  on = recall("play-on") !== "off";

  constructor() {
    this.button = h(
      "button",
      { type: "button", class: "toggle", title: "At the end of a song, play the next one in the list", onclick: () => this.set(!this.on) },
      icon(NEXT, true),
      "Play on",
    );
    this.set(this.on);
  }

  private set(on: boolean): void {
    this.on = on;
    this.button.setAttribute("aria-pressed", String(on));
    remember("play-on", on ? null : "off");
  }
}
