// The waveform of a timeline, drawn by wavesurfer.js from peaks that were computed when the site was built.

import WaveSurfer from "wavesurfer.js";
import type { Hearing } from "../site/contract";
import { h } from "../parts/dom";

const COLUMNS = 1200;
const HEIGHT = 88; // pixels; the hash of wavesurfer's style sheet in index.html depends on it

/** A part of the timeline and its peaks. */
export interface Stretch {
  start: number;
  seconds: number;
  hearing: Hearing | null;
}

export class Waveform {
  readonly element = h("div", { class: "waveform", "aria-hidden": "true" });
  private readonly drawing: WaveSurfer;
  private duration = 1;

  constructor() {
    // It only draws: with a separate audio element that never gets a source, it neither plays nor fetches.
    this.drawing = WaveSurfer.create({
      container: this.element,
      media: new Audio(),
      height: HEIGHT,
      cursorWidth: 0,
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      interact: false,
      hideScrollbar: true,
      ...this.colours(),
    });
  }

  async show(stretches: Stretch[], duration: number, loudest: number): Promise<void> {
    this.duration = Math.max(duration, 0.01);
    const [low, high] = columns(stretches, this.duration, loudest);
    await this.drawing.load("", [high, low], this.duration).catch(() => undefined); // replaced by the next call
  }

  /** Draw the part before a time in the accent colour. */
  moveTo(time: number): void {
    this.drawing.getRenderer().renderProgress(time / this.duration, false);
  }

  /** Update the colours after a change of theme. */
  recolour(): void {
    this.drawing.setOptions(this.colours());
  }

  private colours(): { waveColor: string; progressColor: string } {
    return { waveColor: colour("--wave"), progressColor: colour("--accent") };
  }
}

/** Return minima and maxima of equal parts of the whole timeline, -1..1, 1 being the loudest. */
export function columns(stretches: Stretch[], duration: number, loudest: number): [Float32Array, Float32Array] {
  const [low, high] = [new Float32Array(COLUMNS), new Float32Array(COLUMNS)];
  for (const { start, hearing } of stretches) {
    if (hearing === null || hearing.peaks.length === 0 || hearing.seconds <= 0) continue;
    const first = Math.round((start / duration) * COLUMNS);
    const last = Math.min(Math.round(((start + hearing.seconds) / duration) * COLUMNS), COLUMNS);
    const step = hearing.peaks.length / Math.max(last - first, 1);
    for (let column = first; column < last; column++) {
      const from = Math.min(Math.floor((column - first) * step), hearing.peaks.length - 1);
      const to = Math.max(Math.floor((column - first + 1) * step), from + 1);
      for (const [lowest, highest] of hearing.peaks.slice(from, to)) {
        low[column] = Math.min(low[column] as number, lowest / 127 / loudest);
        high[column] = Math.max(high[column] as number, highest / 127 / loudest);
      }
    }
  }
  return [low, high];
}

/** Return the current value of a colour of the style sheet. */
function colour(name: string): string {
  const probe = h("span", { hidden: true });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
