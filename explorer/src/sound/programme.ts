// What the player plays of a song: one sample, or a path through a tree.

import { along, audible, firstPath } from "../site/branches";
import { type Hearings, LEVELS, type Song } from "../site/contract";
import type { Part } from "./deck";

/** A marked time. */
export interface Mark {
  at: number; // seconds
  label: string;
}

/** A timeline of parts, with marks on it. */
export interface Programme {
  parts: Part[];
  prompt: number; // seconds
  changes: Mark[];
  joints: Mark[];
}

export const NOTHING: Programme = { parts: [], prompt: 0, changes: [], joints: [] };

/** Return the samples of a song that can be played. */
export function samplesOf(song: Song): number[] {
  return song.samples.filter((sample) => Object.keys(sample.levels).length > 0).map((sample) => sample.number);
}

/** Return the sample to show: the one asked for if it can be played, otherwise the first. */
export function sampleOf(song: Song, asked: number): number {
  const numbers = samplesOf(song);
  return numbers.includes(asked) ? asked : (numbers[0] ?? 0);
}

/** Return the path to show: the one asked for if the tree has it, otherwise the first; null for a song. */
export function pathOf(song: Song, asked: string | null): string | null {
  const nodes = song.tree?.nodes ?? [];
  if (nodes.length === 0) return null;
  return asked !== null && along(nodes, asked).length > 0 ? asked : firstPath(nodes);
}

export function programmeOf(song: Song, sample: number, path: string | null): Programme {
  return path === null ? ofSample(song, sample) : ofPath(song, path);
}

export function durationOf({ parts }: Programme): number {
  const last = parts.at(-1);
  return last === undefined ? 0 : last.start + last.seconds;
}

const QUIETEST = 0.05; // peak below which a waveform is not enlarged further

/** Return the highest peak of all levels, 0..1: quiet music is enlarged, by the same factor at all levels. */
export function loudest(...programmes: Programme[]): number {
  let found = QUIETEST;
  for (const { peaks } of programmes.flatMap(({ parts }) => parts).flatMap((part) => Object.values(part.levels))) {
    for (const [low, high] of peaks) found = Math.max(found, -low / 127, high / 127);
  }
  return found;
}

function ofSample(song: Song, number: number): Programme {
  const levels = song.samples.find((sample) => sample.number === number)?.levels ?? {};
  const seconds = longest(levels);
  const parts: Part[] = seconds > 0 ? [{ start: 0, seconds, levels }] : [];
  return { parts, prompt: Math.min(song.prompt, seconds), changes: song.changes, joints: [] };
}

function ofPath(song: Song, path: string): Programme {
  const parts: Part[] = [];
  const joints: Mark[] = [];
  let at = 0;
  for (const node of along(song.tree?.nodes ?? [], path)) {
    if (!audible(node)) break; // later nodes cannot be played without it
    const seconds = longest(node.levels);
    if (at > 0) joints.push({ at, label: node.path });
    parts.push({ start: at, seconds, levels: node.levels });
    at += seconds;
  }
  return { parts, prompt: Math.min(song.prompt, at), changes: song.changes, joints };
}

function longest(levels: Hearings): number {
  return Math.max(0, ...LEVELS.map((level) => levels[level]?.seconds ?? 0));
}
