// Formatting of numbers and names for display.

const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const COUNT = new Intl.NumberFormat("en-GB");

/** 75.4 -> "1:15", 3675 -> "1:01:15". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = String(rest).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${two}` : `${minutes}:${two}`;
}

/** Format a duration: 75.6 -> "1:16". */
export function length(seconds: number): string {
  return clock(Math.round(seconds));
}

/** Format a duration for screen readers: 75.4 -> "1 minute 15 seconds". */
export function spoken(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  const rest = `${whole % 60} ${whole % 60 === 1 ? "second" : "seconds"}`;
  return minutes === 0 ? rest : `${minutes} ${minutes === 1 ? "minute" : "minutes"} ${rest}`;
}

/** Format a date: "2026-11-21T18:00:00Z" -> "21 Nov 2026"; "" for an invalid one. */
export function date(iso: string): string {
  const time = Date.parse(iso);
  return Number.isNaN(time) ? "" : DATE.format(time);
}

export function count(number: number): string {
  return COUNT.format(number);
}

/** 12345 -> "12 kB". */
export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  const unit = size < 1e6 ? 1e3 : size < 1e9 ? 1e6 : 1e9;
  const value = size / unit;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit === 1e3 ? "kB" : unit === 1e6 ? "MB" : "GB"}`;
}

/** Format a total duration in hours, minutes or seconds. */
export function long(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} seconds`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes`;
  return `${count(Math.round(seconds / 3600))} hours`;
}

/** Normalise text for searching: no accents, lower case. */
export function fold(text: string): string {
  if (/^[\x00-\x7f]*$/.test(text)) return text.toLowerCase();
  return text.normalize("NFKD").replace(/\p{M}+/gu, "").toLowerCase();
}

const LONGEST_NAME = 80; // characters of a title in a file's name

/** Make a file name for a download from the parts that are not empty: "My song, sample 1, bottom.ogg". */
export function fileName(title: string, ...parts: string[]): string {
  const plain = (text: string) =>
    text
      .normalize("NFC")
      .replace(/[/\\:*?"<>|\s]+/gu, " ")
      .replace(/\p{C}+/gu, "");
  const head = [...plain(title)].slice(0, LONGEST_NAME).join("");
  const named = [head, ...parts.map(plain)].map((part) => part.trim()).filter((part) => part !== "");
  return named.join(", ").replace(/^[.\s-]+/, "") || "song";
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
