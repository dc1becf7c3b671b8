// The prompt of a new song: a recording that is dropped, chosen or recorded, and the part of it to begin with.

import { bdi, h, svg } from "../parts/dom";
import { clock } from "../parts/text";
import { DataError } from "../site/data";
import { api, type Upload, type Values } from "./api";
import { Microphone } from "./microphone";

const BARS = 160;
const HEIGHT = 60;
const LONGEST = 12; // seconds, the default of --prompt-seconds

export class PromptPicker {
  readonly element: HTMLElement;
  private readonly picker = h("input", { type: "file", accept: "audio/*,.wav,.flac,.ogg,.mp3,.aif,.aiff,.opus", id: "recording", class: "unseen" });
  private readonly status = h("p", { role: "status", class: "note" });
  private readonly part = h("div", { class: "part", hidden: true });
  private readonly microphone = new Microphone((file) => void this.take(file, "recording.wav"));
  private turn = 0;

  /** `chosen` is called with the upload, and with the values of the part whenever it changes. */
  constructor(private readonly chosen: (upload: Upload, part: Values) => void) {
    this.picker.addEventListener("change", () => {
      const file = this.picker.files?.[0];
      if (file !== undefined) void this.take(file, file.name);
    });
    const drop = h(
      "div",
      { class: "drop" },
      this.picker,
      h("label", { for: "recording", class: "button" }, "Choose a recording"),
      this.microphone.element,
      h("span", { class: "note" }, "or drop it here"),
    );
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      const file = event.dataTransfer?.files[0];
      if (file !== undefined) void this.take(file, file.name);
    });
    this.element = h("div", {}, drop, this.status, this.part);
  }

  private async take(file: Blob, name: string): Promise<void> {
    const turn = ++this.turn;
    this.status.classList.remove("problem");
    this.status.textContent = `Sending ${name} …`;
    this.part.hidden = true;
    try {
      const [upload, peaks] = await Promise.all([api.upload(name, file), peaksOf(file)]);
      if (turn !== this.turn) return;
      this.status.replaceChildren(bdi(upload.name), ` · ${clock(upload.seconds)}. Mark the part to begin with:`);
      this.mark(upload, peaks);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      if (turn !== this.turn) return;
      this.status.classList.add("problem");
      this.status.textContent = error.message;
    }
  }

  /** Show the waveform, and two sliders for the part; the pointer marks it too. */
  private mark(upload: Upload, peaks: number[]): void {
    const { seconds } = upload;
    const slider = (name: string, value: number) => h("input", { type: "range", min: 0, max: seconds, step: "any", value, "aria-label": name });
    const [from, to] = [slider("The prompt begins at", 0), slider("The prompt ends at", Math.min(seconds, LONGEST))];
    const shade = h("div", { class: "marked" });
    const said = h("span", { class: "note", role: "status" });
    const bars = peaks.map((peak, bar) => {
      const half = Math.max((peak * (HEIGHT - 4)) / 2, 0.5);
      return `M${bar + 0.5} ${HEIGHT / 2 - half}v${2 * half}`;
    });
    const drawing = svg("svg", { viewBox: `0 0 ${BARS} ${HEIGHT}`, preserveAspectRatio: "none", class: "outline", "aria-hidden": "true" }, svg("path", { d: bars.join("") }));
    const board = h("div", { class: "prompt-wave" }, drawing, shade);
    const show = () => {
      const [start, stop] = [Number(from.value), Number(to.value)].sort((one, other) => one - other) as [number, number];
      shade.style.left = `${(start / seconds) * 100}%`;
      shade.style.width = `${((stop - start) / seconds) * 100}%`;
      said.textContent = `${start.toFixed(1)} s to ${stop.toFixed(1)} s`;
      this.chosen(upload, { start: round(start), "prompt-seconds": round(Math.max(stop - start, 0.1)) });
    };
    board.addEventListener("pointerdown", (down) => {
      const { left, width } = board.getBoundingClientRect();
      const at = (event: PointerEvent) => String(Math.min(Math.max((event.clientX - left) / width, 0), 1) * seconds);
      board.setPointerCapture(down.pointerId);
      from.value = to.value = at(down);
      const move = (event: PointerEvent) => {
        to.value = at(event);
        show();
      };
      board.addEventListener("pointermove", move);
      board.addEventListener("pointerup", () => board.removeEventListener("pointermove", move), { once: true });
    });
    for (const one of [from, to]) one.addEventListener("input", show);
    this.part.replaceChildren(board, h("div", { class: "part-ends" }, from, to, said));
    this.part.hidden = false;
    show();
  }
}

const round = (seconds: number): number => Math.round(seconds * 100) / 100;

/** Return the highest peaks of equal parts of a recording, 0..1; nothing for one that the browser cannot decode. */
async function peaksOf(file: Blob): Promise<number[]> {
  const context = new OfflineAudioContext(1, 1, 22_050);
  try {
    const samples = (await context.decodeAudioData(await file.arrayBuffer())).getChannelData(0);
    const step = samples.length / BARS;
    const peaks = Array.from({ length: BARS }, (_, bar) => {
      let peak = 0;
      for (let place = Math.floor(bar * step); place < (bar + 1) * step; place++) peak = Math.max(peak, Math.abs(samples[place] ?? 0));
      return peak;
    });
    const highest = Math.max(...peaks, 0.01);
    return peaks.map((peak) => peak / highest);
  } catch {
    return [];
  }
}
