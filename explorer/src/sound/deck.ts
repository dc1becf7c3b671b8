// Plays a timeline of one or several recordings, each at up to three levels, and switches levels while it plays.

import { LEVELS, type Hearing, type Hearings, type Level, ownUrl } from "../site/contract";

/** A part of the timeline: a sample has one, a path through a tree one for each node. */
export interface Part {
  start: number; // seconds of the timeline
  seconds: number;
  levels: Hearings;
}

/** Return the level of a part to play: `wanted` if it exists, otherwise the lowest that does. */
export function playableLevel(levels: Hearings, wanted: Level | null): Level | null {
  if (wanted !== null && levels[wanted] !== undefined) return wanted;
  return [...LEVELS].reverse().find((level) => levels[level] !== undefined) ?? null;
}

const END = 0.02; // seconds before the end of a part at which the next starts
const SOON = 5; // seconds before a part in which it is loaded
const NEAR = 0.5; // seconds from the position that count as the same moment
const TOO_FAR = 0.03; // seconds of difference between two levels that are audible as a jump

/**
 * Events: "time" often while it plays, "state" when it starts or stops, "level" when another one is chosen or played,
 * "end" when all was played, and "problem" with a recording.
 */
type Happening = "time" | "state" | "level" | "end" | "problem";

export class Deck {
  playing = false;
  private parts: Part[] = [];
  private part = 0;
  private chosen: Level | null = null;
  private voice: HTMLAudioElement | null = null; // the audible one
  private origin = 0; // seconds of the timeline at which the audible recording begins
  private held: Part[] = []; // kept loaded beside the timeline
  private resting = 0; // seconds, before any voice exists
  private volume = 1;
  private turn = 0; // incremented by each request, so that answers to earlier ones are ignored
  private latency = 0.03; // seconds that a voice takes to start, measured
  private frame = 0;
  private readonly voices = new Map<string, HTMLAudioElement>();
  private readonly listeners = new Map<Happening, (() => void)[]>();

  on(happening: Happening, listener: () => void): void {
    this.listeners.set(happening, [...(this.listeners.get(happening) ?? []), listener]);
  }

  /** Change the timeline; position and playback are kept if the new one reaches that far. */
  async put(parts: Part[], level: Level | null, time: number): Promise<void> {
    const [playing, before, old, now] = [this.playing, this.hearing, this.voice, this.time];
    const same = parts.find((part) => part.start <= time && time < part.start + part.seconds);
    this.parts = parts;
    this.chosen = level;
    if (same !== undefined && old !== null) {
      const kept = before !== null && this.hearingOf(same) === before;
      const next = this.voiceOf(same);
      if (kept || (playing && next !== null && Math.abs(time - now) < NEAR)) {
        this.part = parts.indexOf(same);
        if (kept) this.origin = same.start; // a path that shares this node: continue without a gap
        else if (next !== null && !(await this.cross(old, next, same))) return;
        this.keepOnly(parts);
        this.tell("level");
        return;
      }
    }
    this.stop();
    this.keepOnly(parts);
    this.seek(time);
    if (playing) await this.play();
  }

  /** Keep some recordings loaded, and load those of this moment, so that `put` can change to them without a gap. */
  hold(parts: Part[]): void {
    this.held = parts;
    this.keepOnly(this.parts);
    const { time } = this;
    for (const part of parts) if (part.start <= time + SOON && time < part.start + part.seconds) this.voiceOf(part);
  }

  get duration(): number {
    const last = this.parts.at(-1);
    return last === undefined ? 0 : last.start + last.seconds;
  }

  get time(): number {
    if (this.parts.length === 0 || this.voice === null || this.voice.readyState === 0) return this.resting;
    return Math.min(this.origin + this.voice.currentTime, this.duration);
  }

  /** The level that was asked for; parts without it play their lowest. */
  get wanted(): Level | null {
    return this.chosen;
  }

  /** The level that plays. */
  get level(): Level | null {
    const part = this.parts[this.part];
    return part === undefined ? null : playableLevel(part.levels, this.chosen);
  }

  async play(): Promise<void> {
    if (this.parts.length === 0 || this.playing) return;
    if (this.time >= this.duration - END) this.seek(0);
    const turn = ++this.turn;
    this.playing = true;
    this.tell("state");
    this.preload();
    try {
      this.take();
      await this.voice?.play();
    } catch (error) {
      if (turn !== this.turn || (error instanceof DOMException && error.name === "AbortError")) return;
      this.stop();
      this.tell("problem");
      return;
    }
    this.watch();
  }

  pause(): void {
    if (this.playing) this.stop();
  }

  toggle(): void {
    if (this.playing) this.pause();
    else void this.play();
  }

  seek(time: number): void {
    const to = Math.min(Math.max(time, 0), this.duration);
    const found = this.parts.findLastIndex((part) => part.start <= to + 1e-6);
    const before = this.level;
    const moved = Math.max(found, 0) !== this.part;
    this.part = Math.max(found, 0);
    this.resting = to;
    this.turn++;
    if (moved || this.voice === null) this.voice?.pause();
    this.take();
    if (this.voice !== null) place(this.voice, to - (this.parts[this.part]?.start ?? 0));
    if (this.playing) void this.voice?.play().catch(() => undefined);
    this.tell("time");
    if (this.level !== before) this.tell("level"); // a part without the level of the one before
  }

  /** Switch to another level at the same position. */
  async choose(level: Level): Promise<void> {
    const [old, part] = [this.voice, this.parts[this.part]];
    this.chosen = level;
    this.tell("level");
    const next = part === undefined ? null : this.voiceOf(part);
    if (next === null || next === old || part === undefined) return;
    if (this.playing && old !== null) {
      await this.cross(old, next, part);
      return;
    }
    this.turn++;
    this.resting = this.time;
    this.take();
  }

  /** Change to another recording, of `part`, at the same moment: the old one plays until the new one does. */
  private async cross(old: HTMLAudioElement, next: HTMLAudioElement, part: Part): Promise<boolean> {
    if (old === next) return true;
    const turn = ++this.turn;
    const ahead = this.origin - part.start; // seconds between the same moment in the two recordings
    next.muted = true;
    try {
      place(next, old.currentTime + ahead + this.latency);
      await next.play();
      await begun(next);
      for (let tries = 0; tries < 4 && turn === this.turn && !old.ended; tries++) {
        const behind = old.currentTime + ahead - next.currentTime;
        if (Math.abs(behind) < TOO_FAR) break;
        this.latency = Math.min(Math.max(this.latency + behind / 2, 0), 0.3);
        next.currentTime = old.currentTime + ahead + this.latency;
        await begun(next);
      }
    } catch {
      if (turn === this.turn) this.tell("problem");
    }
    if (turn !== this.turn) {
      if (this.voice !== next) next.pause();
      return false;
    }
    this.voice = next;
    this.origin = part.start;
    next.muted = false;
    next.volume = this.volume;
    old.pause();
    return true;
  }

  setVolume(volume: number): void {
    this.volume = volume;
    for (const voice of this.voices.values()) voice.volume = volume;
  }

  /** Stop, and unload everything. */
  clear(): void {
    this.stop();
    this.held = [];
    this.keepOnly([]);
    this.parts = [];
    this.part = 0;
    this.resting = 0;
  }

  private get hearing(): Hearing | null {
    const part = this.parts[this.part];
    return part === undefined ? null : this.hearingOf(part);
  }

  private hearingOf(part: Part): Hearing | null {
    const level = playableLevel(part.levels, this.chosen);
    return level === null ? null : (part.levels[level] ?? null);
  }

  private stop(): void {
    this.resting = this.time;
    this.turn++;
    cancelAnimationFrame(this.frame);
    for (const voice of this.voices.values()) voice.pause();
    if (!this.playing) return;
    this.playing = false;
    this.tell("state");
    this.tell("time");
  }

  /** Make the part's level the audible voice, at the current position. */
  private take(): void {
    const part = this.parts[this.part];
    const voice = part === undefined ? null : this.voiceOf(part);
    if (voice === null || part === undefined) return;
    this.origin = part.start;
    if (voice === this.voice) return;
    this.voice?.pause();
    this.voice = voice;
    voice.muted = false;
    voice.volume = this.volume;
    place(voice, this.resting - part.start);
  }

  private voiceOf(part: Part): HTMLAudioElement | null {
    const hearing = this.hearingOf(part);
    return hearing === null ? null : this.make(hearing);
  }

  private make(hearing: Hearing): HTMLAudioElement | null {
    const url = ownUrl(hearing.audio);
    if (url === null) return null;
    const known = this.voices.get(url);
    if (known !== undefined) return known;
    const voice = new Audio();
    voice.preload = "auto";
    voice.volume = this.volume;
    voice.src = url;
    voice.addEventListener("ended", () => voice === this.voice && this.onward());
    voice.addEventListener("error", () => {
      if (voice !== this.voice) return;
      this.stop();
      this.tell("problem");
    });
    this.voices.set(url, voice);
    return voice;
  }

  /** Load the other levels of this part, and the next part. */
  private preload(): void {
    const part = this.parts[this.part];
    for (const level of LEVELS) {
      const hearing = part?.levels[level];
      if (hearing !== undefined) this.make(hearing);
    }
    const next = this.parts[this.part + 1];
    if (next !== undefined) this.voiceOf(next);
  }

  private watch(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      if (!this.playing) return;
      this.tell("time");
      const part = this.parts[this.part];
      const over = part !== undefined && this.voice !== null && this.time >= part.start + part.seconds - END;
      if (over && this.part < this.parts.length - 1) this.onward();
      this.watch();
    });
  }

  /** Continue with the next part, or stop after the last. */
  private onward(): void {
    if (!this.playing) return;
    const next = this.parts[this.part + 1];
    if (next === undefined) {
      this.stop();
      this.resting = this.duration;
      this.tell("time");
      this.tell("end");
      return;
    }
    this.seek(Math.max(next.start, this.time));
    this.preload();
  }

  private keepOnly(parts: Part[]): void {
    const urls = new Set([...parts, ...this.held].flatMap((part) => Object.values(part.levels).map((one) => one.audio)));
    for (const [url, voice] of this.voices) {
      if (urls.has(url)) continue;
      voice.pause();
      voice.removeAttribute("src");
      voice.load();
      this.voices.delete(url);
      if (voice === this.voice) this.voice = null;
    }
  }

  private tell(happening: Happening): void {
    for (const listener of this.listeners.get(happening) ?? []) listener();
  }
}

/** Seek in a voice as soon as its metadata is loaded. */
function place(voice: HTMLAudioElement, seconds: number): void {
  const to = Math.max(seconds, 0);
  if (voice.readyState > 0) {
    if (Math.abs(voice.currentTime - to) > 1e-3) voice.currentTime = to;
  } else voice.addEventListener("loadedmetadata", () => (voice.currentTime = to), { once: true });
}

/** Wait until a voice is ready to play, at most a second and a half. */
function begun(voice: HTMLAudioElement): Promise<void> {
  const from = performance.now();
  return new Promise((resolve) => {
    const look = () => {
      if ((!voice.seeking && voice.readyState >= 3) || voice.ended || performance.now() - from > 1500) resolve();
      else setTimeout(look, 4);
    };
    look();
  });
}
