// Records from the microphone, as a wav file.

import { h } from "../parts/dom";

const RATE = 44_100; // Hz

export class Microphone {
  readonly element: HTMLElement;
  private recorder: MediaRecorder | null = null;
  private readonly button = h("button", { type: "button", class: "button", onclick: () => void this.press() }, "Record");
  private readonly problem = h("span", { class: "problem", role: "alert" });

  constructor(private readonly recorded: (file: Blob) => void) {
    const able = navigator.mediaDevices !== undefined && typeof MediaRecorder === "function";
    this.element = h("span", { hidden: !able }, this.button, this.problem);
  }

  private async press(): Promise<void> {
    if (this.recorder !== null) return this.recorder.stop();
    this.problem.textContent = "";
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      const recorder = new MediaRecorder(stream);
      const pieces: Blob[] = [];
      recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
      recorder.addEventListener("stop", () => {
        for (const track of stream.getTracks()) track.stop();
        this.recorder = null;
        this.button.textContent = "Record";
        void wav(new Blob(pieces)).then(this.recorded);
      });
      recorder.start();
      this.recorder = recorder;
      this.button.textContent = "Stop recording";
    } catch {
      this.problem.textContent = " The microphone cannot be used.";
    }
  }
}

/** Return a recording that the browser can decode as 16-bit mono wav. */
async function wav(recording: Blob): Promise<Blob> {
  const context = new OfflineAudioContext(1, 1, RATE);
  const samples = (await context.decodeAudioData(await recording.arrayBuffer())).getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at: number, letters: string) => [...letters].forEach((letter, place) => view.setUint8(at + place, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true); // bytes a second
  view.setUint16(32, 2, true); // bytes of a frame
  view.setUint16(34, 16, true); // bits of a sample
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, place) => view.setInt16(44 + 2 * place, Math.round(Math.min(Math.max(sample, -1), 1) * 32_767), true));
  return new Blob([view.buffer], { type: "audio/wav" });
}
