// Format of the site's data files. `jukectl explore` writes them; see jukectl/explorer/contract.py.

/** Format version that this page reads; higher ones are refused. */
export const FORMAT = 1;

export const LEVELS = ["top", "middle", "bottom"] as const;
export type Level = (typeof LEVELS)[number];

export interface Index {
  format: number;
  jukectl: string;
  made: string;
  title: string;
  first?: string | null; // the song to offer first
  artists: string[];
  genres: string[];
  models: string[];
  kinds: string[];
  states: string[];
  columns: string[];
  songs: unknown[][];
  folders?: Record<string, string>; // of a studio: names of the songs' folders, by id
  filling?: boolean; // of a studio: some songs lack their details, and get them soon
}

/** Audio and picture of a level. */
export interface Hearing {
  audio: string;
  type: string;
  seconds: number;
  peaks: [number, number][]; // lowest and highest of equal parts, -127..127
  spectrogram?: string | null;
  hertz?: [number, number]; // at the lower and upper edge of the spectrogram
  quiet?: boolean; // what follows the prompt is nearly silent
  bytes?: number; // of the audio
}

export type Hearings = Partial<Record<Level, Hearing>>;

export interface Word {
  text: string;
  from: number; // characters (not UTF-16 units) of the lyrics
  to: number;
  start: number | null; // seconds
  end: number | null;
}

export interface Lyrics {
  text: string;
  words: Word[];
}

/** A file to download. */
export interface Download {
  label: string;
  url: string;
  bytes?: number | undefined;
}

export interface TreeNode {
  path: string; // "" is the root, "2.3" the third branch of the second
  parent: string | null;
  start: number; // seconds of the song
  stop: number;
  state?: string;
  levels: Hearings;
  downloads?: Download[]; // its codes
  commands?: { pick?: string; branch?: string };
}

export interface Song {
  format: number;
  id: string;
  title: string;
  artist: string | null;
  genres: string[];
  model: string;
  kind: string;
  state: string;
  problem: string | null;
  star?: boolean;
  notes?: string;
  quiet?: boolean;
  made: string;
  seconds: number;
  prompt: number;
  seed: number | null;
  command: string | null;
  recipe: string; // the text of song.toml, or of a tree's tree.toml
  samples: { number: number; levels: Hearings }[];
  lyrics: Lyrics | null;
  alignment: { sample: number; image: string }[];
  changes: { at: number; label: string }[];
  downloads: Download[]; // recipe and codes
  tree: { every: number | null; nodes: TreeNode[] } | null;
}

/** Return a URL if it is inside the site, otherwise null: data files must not lead elsewhere. */
export function ownUrl(url: unknown): string | null {
  if (typeof url !== "string" || url === "" || /^[\\/]|[\\\u0000-\u0020]|^[^/?#]*:/.test(url)) return null;
  let plain: string;
  try {
    plain = decodeURIComponent(url);
  } catch {
    return null;
  }
  const parts = plain.split(/[\\/]/);
  return parts.includes("..") || parts[0] === "" ? null : url;
}
