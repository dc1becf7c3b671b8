// The frequency axis of spectrograms, which is logarithmic.

/** Lowest and highest frequency of a picture, in Hz. */
export type Hertz = [number, number];

const MARKS = [50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000];
const EDGE = 0.06; // of the height, at either end, in which a label would be cut
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

/** Return the frequencies to mark, each with its height, 0 at the lower edge to 1. */
export function marks(hertz: Hertz): { label: string; height: number }[] {
  return MARKS.map((frequency) => ({ label: short(frequency), height: heightOf(frequency, hertz) })).filter(
    ({ height }) => height > EDGE && height < 1 - EDGE,
  );
}

/** Return the frequency at a height, 0..1. */
export function frequencyAt(height: number, [low, high]: Hertz): number {
  return low * (high / low) ** Math.min(Math.max(height, 0), 1);
}

/** Format a frequency with its nearest note: "438 Hz · A4". */
export function withNote(frequency: number): string {
  const semitones = Math.round(12 * Math.log2(frequency / 440)) + 69; // as MIDI numbers them
  const name = NAMES[((semitones % 12) + 12) % 12] ?? "";
  const shown = frequency < 1000 ? `${Math.round(frequency)} Hz` : `${(frequency / 1000).toFixed(1)} kHz`;
  return `${shown} · ${name}${Math.floor(semitones / 12) - 1}`;
}

function heightOf(frequency: number, [low, high]: Hertz): number {
  return Math.log2(frequency / low) / Math.log2(high / low);
}

function short(frequency: number): string {
  return frequency < 1000 ? `${frequency} Hz` : `${frequency / 1000} kHz`;
}
