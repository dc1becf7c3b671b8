// The state of the page in the address after #, so that links can be shared and the browser's back button works.

import { LEVELS, type Level } from "./contract";
import { SORTS, type Sort } from "./catalogue";

export interface Place {
  query: string;
  artist: string | null; // null: any; "": songs without an artist
  genre: string | null;
  model: string | null;
  kinds: string[]; // empty: any
  states: string[];
  starred: boolean; // only songs with a star
  sort: Sort;
  song: string | null;
  sample: number;
  level: Level | null; // null: the lowest that exists
  time: number; // seconds
  path: string | null; // of a tree
  other: string | null; // song that it is compared with, B; its sample and path
  otherSample: number;
  otherPath: string | null;
  side: Side; // the one of the two that plays
}

export type Side = "a" | "b";

export const START: Place = {
  query: "",
  artist: null,
  genre: null,
  model: null,
  kinds: [],
  states: [],
  starred: false,
  sort: "newest",
  song: null,
  sample: 0,
  level: null,
  time: 0,
  path: null,
  other: null,
  otherSample: 0,
  otherPath: null,
  side: "a",
};

/** A place without filters. */
export const NO_FILTER = { query: "", artist: null, genre: null, model: null, kinds: [], states: [], starred: false } satisfies Partial<Place>;

/** A place without a song, and without all that belongs to one. */
export const NO_SONG = {
  song: null,
  sample: 0,
  time: 0,
  path: null,
  other: null,
  otherSample: 0,
  otherPath: null,
  side: "a",
} as const satisfies Partial<Place>;

/** Parse an address; invalid parts are ignored. */
export function parse(hash: string): Place {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const many = (name: string) => values.getAll(name).filter((value) => value !== "");
  const sort = values.get("sort") as Sort;
  const level = values.get("level") as Level;
  const number = (name: string) => {
    const value = Number(values.get(name) ?? 0);
    return Number.isInteger(value) && value >= 0 ? value : 0;
  };
  const time = Number(values.get("t") ?? 0);
  return {
    query: values.get("q") ?? "",
    artist: values.get("artist"),
    genre: values.get("genre"),
    model: values.get("model"),
    kinds: many("kind"),
    states: many("state"),
    starred: values.get("star") === "1",
    sort: SORTS.includes(sort) ? sort : START.sort,
    song: values.get("song") || null,
    sample: number("sample"),
    level: LEVELS.includes(level) ? level : null,
    time: Number.isFinite(time) && time > 0 ? time : 0,
    path: values.get("path"),
    other: values.get("with") || null,
    otherSample: number("with-sample"),
    otherPath: values.get("with-path"),
    side: values.get("side") === "b" ? "b" : "a",
  };
}

/** Format a place as an address, without parts that have their default; "" for the start page. */
export function format(place: Place): string {
  const values = new URLSearchParams();
  if (place.query) values.set("q", place.query);
  if (place.artist !== null) values.set("artist", place.artist);
  if (place.genre !== null) values.set("genre", place.genre);
  if (place.model !== null) values.set("model", place.model);
  for (const kind of place.kinds) values.append("kind", kind);
  for (const state of place.states) values.append("state", state);
  if (place.starred) values.set("star", "1");
  if (place.sort !== START.sort) values.set("sort", place.sort);
  if (place.song !== null) {
    values.set("song", place.song);
    if (place.path !== null) values.set("path", place.path);
    if (place.sample > 0) values.set("sample", String(place.sample));
    if (place.level !== null) values.set("level", place.level);
    if (place.other !== null) {
      values.set("with", place.other);
      if (place.otherPath !== null) values.set("with-path", place.otherPath);
      if (place.otherSample > 0) values.set("with-sample", String(place.otherSample));
      if (place.side === "b") values.set("side", "b");
    }
    if (place.time > 0) values.set("t", String(Math.round(place.time * 10) / 10));
  }
  const text = values.toString();
  return text === "" ? "" : `#${text}`;
}
