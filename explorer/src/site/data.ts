// Loads the site's data by script elements: a page that was opened from disk cannot use fetch.

import { FORMAT, type Index, type Song } from "./contract";

declare global {
  interface Window {
    jukectlIndex?: (index: Index) => void;
    jukectlSong?: (id: string, song: Song) => void;
  }
}

/** A problem to show to the user. */
export class DataError extends Error {}

/** True if a studio serves the page: songs are made and changed while it is open. */
export const IN_STUDIO = document.querySelector("meta[name=jukectl-studio]") !== null;

const KEPT = 20;
const songs = new Map<string, Song>();

export async function loadIndex(): Promise<Index> {
  let found: Index | null = null;
  window.jukectlIndex = (index) => {
    found = index;
  };
  await script("data/index.js", "The list of songs, data/index.js, is missing beside this page.");
  const index = found as Index | null;
  if (index === null) throw new DataError("The list of songs, data/index.js, cannot be read.");
  if (index.format > FORMAT) throw new DataError("The list of songs was written by a newer jukectl. Build the site again with it.");
  return index;
}

/** Load a song, once, unless a `fresh` copy is asked for. */
export async function loadSong(id: string, fresh = false): Promise<Song> {
  const kept = songs.get(id);
  if (kept !== undefined && !fresh) return kept;
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(id)) throw new DataError("This song's name is not a valid file name.");
  window.jukectlSong = (name, song) => {
    songs.delete(name);
    songs.set(name, IN_STUDIO ? versioned(song) : song);
    for (const oldest of songs.keys()) {
      if (songs.size <= KEPT) break;
      songs.delete(oldest);
    }
  };
  await script(`data/songs/${encodeURIComponent(id)}.js`, "This song's file is missing from the site.");
  const song = songs.get(id);
  if (song === undefined) throw new DataError("This song's file cannot be read.");
  if (song.format > FORMAT) throw new DataError("This song's file was written by a newer jukectl. Build the site again with it.");
  return song;
}

/** Add the size of media files to their URLs, so that the browser loads those again that have grown. */
function versioned(song: Song): Song {
  for (const { levels } of [...song.samples, ...(song.tree?.nodes ?? [])]) {
    for (const one of Object.values(levels)) {
      one.audio += `?${one.bytes}`;
      if (one.spectrogram) one.spectrogram += `?${one.bytes}`;
    }
  }
  return song;
}

function script(src: string, problem: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = src;
    element.onload = () => {
      element.remove();
      resolve();
    };
    element.onerror = () => {
      element.remove();
      reject(new DataError(problem));
    };
    document.head.append(element);
  });
}
