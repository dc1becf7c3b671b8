// Titles, stars and notes that a person gives songs: kept by the server in about.toml, or else in this browser.

import type { Catalogue } from "./catalogue";
import { DataError } from "./data";
import type { Song } from "./contract";
import { recall, remember } from "./memory";

export interface Annotation {
  title: string; // "": the song's own
  star: boolean;
  notes: string;
}

export const LONGEST_TITLE = 200; // characters, as the server limits them
export const LONGEST_NOTES = 10_000;

const KEPT = "annotations"; // in the browser: an object of annotations by id
const FORMAT = 1; // of exported files

export class Annotations {
  /** True if changes are written to the songs' folders. */
  readonly onServer: boolean;
  private readonly token: string | null;
  private own: Record<string, Partial<Annotation>>;

  /** `folder` returns the name by which a studio knows a song; without a studio, the server knows its id. */
  constructor(
    private readonly catalogue: Catalogue,
    private readonly folder: ((id: string) => string) | null = null,
  ) {
    this.token = document.querySelector<HTMLMetaElement>("meta[name=jukectl-token]")?.content ?? null;
    this.onServer = this.token !== null || folder !== null;
    this.own = this.onServer ? {} : checked(parsed(recall(KEPT)));
    for (const [id, one] of Object.entries(this.own)) catalogue.annotate(id, one);
  }

  /** Return what is shown of a song: its own values, and over them those kept in this browser. */
  of(song: Song): Annotation {
    const own = this.own[song.id] ?? {};
    return { title: own.title || song.title, star: own.star ?? song.star ?? false, notes: own.notes ?? song.notes ?? "" };
  }

  /** Change some values of a song. Raises DataError if the server refuses. */
  async change(song: Song, change: Partial<Annotation>): Promise<void> {
    if (this.onServer) Object.assign(song, await this.send(song.id, change));
    else {
      this.own[song.id] = { ...this.own[song.id], ...change };
      if (!remember(KEPT, JSON.stringify(this.own))) throw new DataError("This browser keeps nothing for this page.");
    }
    this.catalogue.annotate(song.id, this.of(song));
  }

  /** Return the annotations kept in this browser as a file, for another browser or the maker of the site. */
  exported(): string {
    const songs = Object.entries(this.own).map(([id, one]) => {
      const place = this.catalogue.placeOf(id);
      return { id, ...(place < 0 ? {} : { song: this.catalogue.entry(place).title }), ...one };
    });
    return `${JSON.stringify({ format: FORMAT, site: this.catalogue.index.title, songs }, null, 2)}\n`;
  }

  /** Take over the annotations of an exported file; return the number of songs. Raises DataError for another file. */
  import(text: string): number {
    const file = parsed(text) as { format?: unknown; songs?: unknown };
    if (file.format !== FORMAT || !Array.isArray(file.songs)) throw new DataError("This file holds no exported notes.");
    const found = checked(Object.fromEntries(file.songs.map((one: { id?: unknown }) => [String(one?.id), one])));
    for (const [id, one] of Object.entries(found)) {
      this.own[id] = { ...this.own[id], ...one };
      this.catalogue.annotate(id, one);
    }
    remember(KEPT, JSON.stringify(this.own));
    return Object.keys(found).length;
  }

  private async send(id: string, change: Partial<Annotation>): Promise<Annotation> {
    let answer: Response;
    let said: unknown;
    try {
      answer = await fetch(`api/v1/songs/${encodeURIComponent(this.folder?.(id) ?? id)}`, {
        method: "PATCH",
        headers: { "Content-Type": "application/json", ...(this.token === null ? {} : { "X-Jukectl-Token": this.token }) },
        body: JSON.stringify(change),
      });
      said = await answer.json();
    } catch {
      throw new DataError(`The server does not answer. Start it again with: jukectl ${this.folder === null ? "explore --serve --edit" : "studio"}`);
    }
    if (!answer.ok) throw new DataError(`Not saved: ${String((said as { error?: unknown }).error)}`);
    const { title, star, notes } = said as Annotation;
    return { title, star, notes };
  }
}

function parsed(text: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Return the annotations among some values, without anything else; they may come from a file of a stranger. */
function checked(values: Record<string, unknown>): Record<string, Partial<Annotation>> {
  const found: Record<string, Partial<Annotation>> = Object.create(null);
  for (const [id, value] of Object.entries(values)) {
    if (typeof value !== "object" || value === null) continue;
    const { title, star, notes } = value as Record<string, unknown>;
    found[id] = {
      ...(typeof title === "string" ? { title: title.slice(0, LONGEST_TITLE) } : {}),
      ...(typeof star === "boolean" ? { star } : {}),
      ...(typeof notes === "string" ? { notes: notes.slice(0, LONGEST_NOTES) } : {}),
    };
  }
  return found;
}
