// All songs of the site: search, filters, counts and order. Fast enough for 100,000 songs.

import type { Index } from "./contract";
import type { Place } from "./address";
import { fold } from "../parts/text";

export const SORTS = ["newest", "title", "artist", "length"] as const;
export type Sort = (typeof SORTS)[number];

/** A row of the list. */
export interface Entry {
  id: string;
  title: string;
  artist: string | null;
  genres: string[];
  model: string;
  kind: string;
  state: string;
  seconds: number;
  samples: number;
  made: string;
  levels: string;
  lyrics: boolean;
  prompt: number;
  outline: string;
  star: boolean;
  quiet: boolean;
}

export const FACETS = ["artist", "genre", "model", "kind", "state"] as const;
export type Facet = (typeof FACETS)[number];

/** Matching songs, in order, and the number that would match for each value of each filter. */
export interface Found {
  places: Uint32Array;
  counts: Record<Facet, Uint32Array>; // the last count of artists is of songs without an artist
  starred: number;
}

export class Catalogue {
  size = 0;
  index!: Index;
  private column: Record<string, number> = {};
  private readonly byId = new Map<string, number>();
  private readonly orders = new Map<Sort, Uint32Array>();
  private texts: (string | undefined)[] = [];
  private readonly own = new Map<number, string>(); // titles of the files, of songs that show another
  private artistTexts: string[] = [];
  private genreTexts: string[] = [];

  constructor(index: Index) {
    this.take(index);
  }

  /** Take over another index: the songs of a studio change while its page is open. */
  take(index: Index): void {
    this.index = index;
    this.size = index.songs.length;
    this.column = {};
    this.texts = [];
    for (const known of [this.byId, this.orders, this.own]) known.clear();
    index.columns.forEach((name, place) => (this.column[name] = place));
    const id = this.at("id");
    index.songs.forEach((row, place) => this.byId.set(String(row[id]), place));
    this.artistTexts = index.artists.map(fold);
    this.genreTexts = index.genres.map(fold);
  }

  entry(place: number): Entry {
    const row = this.index.songs[place] ?? [];
    const value = (name: string) => row[this.at(name)];
    const name = (names: string[], column: string) => names[Number(value(column))] ?? "";
    const genres = (value("genres") as number[] | undefined) ?? [];
    return {
      id: String(value("id")),
      title: String(value("title") ?? ""),
      artist: this.index.artists[Number(value("artist"))] ?? null,
      genres: genres.map((genre) => this.index.genres[genre] ?? ""),
      model: name(this.index.models, "model"),
      kind: name(this.index.kinds, "kind"),
      state: name(this.index.states, "state"),
      seconds: Number(value("seconds")),
      samples: Number(value("samples")),
      made: String(value("made") ?? ""),
      levels: String(value("levels") ?? ""),
      lyrics: Boolean(value("lyrics")),
      prompt: Number(value("prompt") ?? 0),
      outline: String(value("outline") ?? ""),
      star: Boolean(value("star")),
      quiet: Boolean(value("quiet")),
    };
  }

  /** Show another title or star of a song; "" for its own title. Titles of the files stay in `own`. */
  annotate(id: string, { title, star }: { title?: string; star?: boolean }): void {
    const place = this.placeOf(id);
    const row = this.index.songs[place];
    if (row === undefined) return;
    const [titles, stars] = [this.at("title"), this.at("star")];
    if (star !== undefined && stars >= 0) row[stars] = star;
    if (title === undefined) return;
    if (!this.own.has(place)) this.own.set(place, String(row[titles]));
    row[titles] = title || this.own.get(place);
    delete this.texts[place];
    for (const sort of ["title", "artist"] as const) this.orders.delete(sort);
  }

  /** Return the index of a song, -1 for an unknown one. */
  placeOf(id: string): number {
    return this.byId.get(id) ?? -1;
  }

  /** Return the values of a filter, in the order of its counts. */
  names(facet: Facet): string[] {
    return this.index[`${facet}s`];
  }

  find(place: Place): Found {
    const { index } = this;
    const order = this.order(place.sort);
    const words = fold(place.query).split(/\s+/).filter(Boolean);
    const artist = place.artist === "" ? NOBODY : choice(index.artists, place.artist);
    const genre = choice(index.genres, place.genre);
    const model = choice(index.models, place.model);
    const kinds = place.kinds.map((name) => index.kinds.indexOf(name));
    const states = place.states.map((name) => index.states.indexOf(name));
    const counts: Found["counts"] = {
      artist: new Uint32Array(index.artists.length + 1),
      genre: new Uint32Array(index.genres.length),
      model: new Uint32Array(index.models.length),
      kind: new Uint32Array(index.kinds.length),
      state: new Uint32Array(index.states.length),
    };
    const columns = { artist: this.at("artist"), genres: this.at("genres"), model: this.at("model") };
    const [kindColumn, stateColumn, starColumn] = [this.at("kind"), this.at("state"), this.at("star")];
    let starred = 0;
    const places = new Uint32Array(this.size);
    let size = 0;
    for (const song of order) {
      const row = index.songs[song] as unknown[];
      if (words.length > 0 && !this.says(song, words)) continue;
      const songGenres = row[columns.genres] as number[];
      const [songArtist, songModel] = [row[columns.artist] as number, row[columns.model] as number];
      const [kind, state] = [row[kindColumn] as number, row[stateColumn] as number];
      let against = 0; // a bit for each filter that excludes the song
      if (artist !== ANY && artist !== songArtist) against |= 1;
      if (genre !== ANY && !songGenres.includes(genre)) against |= 2;
      if (model !== ANY && model !== songModel) against |= 4;
      if (kinds.length > 0 && !kinds.includes(kind)) against |= 8;
      if (states.length > 0 && !states.includes(state)) against |= 16;
      const star = row[starColumn] === true;
      if (place.starred && !star) against |= 32;
      if (against === 0) places[size++] = song;
      if ((against & ~32) === 0 && star) starred++;
      // A filter counts the songs that pass all other filters.
      if ((against & ~1) === 0) add(counts.artist, songArtist === NOBODY ? index.artists.length : songArtist);
      if ((against & ~2) === 0) for (const one of songGenres) add(counts.genre, one);
      if ((against & ~4) === 0) add(counts.model, songModel);
      if ((against & ~8) === 0) add(counts.kind, kind);
      if ((against & ~16) === 0) add(counts.state, state);
    }
    return { places: places.subarray(0, size), counts, starred };
  }

  /** Compute search texts and orders while the browser is idle, then call `done`: the first search need not wait. */
  prepare(done: () => void): void {
    const soon = (task: IdleRequestCallback) => setTimeout(task, 50, { timeRemaining: () => 8, didTimeout: false });
    const later = window.requestIdleCallback ?? soon; // Safari has none
    let song = 0;
    const orders = [...SORTS];
    const step: IdleRequestCallback = (deadline) => {
      while (song < this.size && deadline.timeRemaining() > 2) {
        for (const end = Math.min(song + 200, this.size); song < end; song++) this.text(song);
      }
      if (song >= this.size) {
        const next = orders.shift();
        if (next === undefined) return done();
        this.order(next);
      }
      later(step);
    };
    later(step);
  }

  private at(name: string): number {
    return this.column[name] ?? -1;
  }

  private says(song: number, words: string[]): boolean {
    const text = this.text(song);
    return words.every((word) => text.includes(word));
  }

  private text(song: number): string {
    const known = this.texts[song];
    if (known !== undefined) return known;
    const row = this.index.songs[song] as unknown[];
    const artist = this.artistTexts[row[this.at("artist")] as number] ?? "";
    const genres = (row[this.at("genres")] as number[]).map((genre) => this.genreTexts[genre]).join(" ");
    return (this.texts[song] = `${fold(String(row[this.at("title")]))}\n${artist}\n${genres}\n${String(row[this.at("id")])}`);
  }

  private order(sort: Sort): Uint32Array {
    const known = this.orders.get(sort);
    if (known !== undefined) return known;
    const order = Uint32Array.from({ length: this.size }, (_, place) => place);
    const rows = this.index.songs;
    const column = (name: string) => rows.map((row) => row[this.at(name)]);
    if (sort === "length") byNumber(order, column("seconds").map((seconds) => -Math.round(Number(seconds) * 100)));
    else if (sort === "newest") byNumber(order, column("made").map((made) => -Math.round((Date.parse(String(made)) || 0) / 1000)));
    else {
      const titles = ranks(column("title").map((title) => fold(String(title))));
      if (sort === "title") byNumber(order, titles);
      else {
        const artists = ranks(this.artistTexts);
        const last = artists.length; // songs without an artist
        const of = (artist: unknown) => artists[artist as number] ?? last;
        byNumber(order, column("artist").map((artist, place) => of(artist) * this.size + (titles[place] ?? 0)));
      }
    }
    this.orders.set(sort, order);
    return order;
  }
}

/** Indices that stand for no name of the index. */
const [NOBODY, ANY, UNKNOWN] = [-1, -2, -3];

function choice(names: string[], name: string | null): number {
  if (name === null) return ANY;
  const place = names.indexOf(name);
  return place === -1 ? UNKNOWN : place;
}

function add(counts: Uint32Array, place: number): void {
  counts[place] = (counts[place] ?? 0) + 1;
}

/** Sort places by whole numbers, ascending and stable. */
function byNumber(order: Uint32Array, keys: number[]): void {
  const size = keys.length;
  const lowest = keys.reduce((low, key) => Math.min(low, key), Infinity);
  const numbers = Float64Array.from(keys, (key, place) => (key - lowest) * size + place).sort(); // a native sort of numbers, without a comparison function
  numbers.forEach((number, rank) => (order[rank] = number % size));
}

/** Return the rank of each text; equal texts share one. */
function ranks(texts: string[]): number[] {
  const known = new Map([...new Set(texts)].sort().map((text, rank) => [text, rank]));
  return texts.map((text) => known.get(text) ?? 0);
}
