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
  sort: Sort;
  song: string | null;
  sample: number;
  level: Level | null; // null: the lowest that exists
  time: number; // seconds
  path: string | null; // of a tree
}

export const START: Place = {
  query: "",
  artist: null,
  genre: null,
  model: null,
  kinds: [],
  states: [],
  sort: "newest",
  song: null,
  sample: 0,
  level: null,
  time: 0,
  path: null,
};

/** Parse an address; invalid parts are ignored. */
export function parse(hash: string): Place {
  const values = new URLSearchParams(hash.replace(/^#/, ""));
  const many = (name: string) => values.getAll(name).filter((value) => value !== "");
  const sort = values.get("sort") as Sort;
  const level = values.get("level") as Level;
  const sample = Number(values.get("sample") ?? 0);
  const time = Number(values.get("t") ?? 0);
  return {
    query: values.get("q") ?? "",
    artist: values.get("artist"),
    genre: values.get("genre"),
    model: values.get("model"),
    kinds: many("kind"),
    states: many("state"),
    sort: SORTS.includes(sort) ? sort : START.sort,
    song: values.get("song") || null,
    sample: Number.isInteger(sample) && sample >= 0 ? sample : 0,
    level: LEVELS.includes(level) ? level : null,
    time: Number.isFinite(time) && time > 0 ? time : 0,
    path: values.get("path"),
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
  if (place.sort !== START.sort) values.set("sort", place.sort);
  if (place.song !== null) {
    values.set("song", place.song);
    if (place.path !== null) values.set("path", place.path);
    if (place.sample > 0) values.set("sample", String(place.sample));
    if (place.level !== null) values.set("level", place.level);
    if (place.time > 0) values.set("t", String(Math.round(place.time * 10) / 10));
  }
  const text = values.toString();
  return text === "" ? "" : `#${text}`;
}
