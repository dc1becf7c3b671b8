// The API of `jukectl studio`; /api/v1/openapi.json describes it.

import { DataError } from "../site/data";

const ROOT = "api/v1";

/** An option of a command, as the command line declares it. */
export interface OptionForm {
  name: string;
  kind: "flag" | "integer" | "number" | "text" | "texts" | "audio" | "midi" | "song" | "words" | "model" | "new";
  help: string;
  value: string; // that stands for its value in the help
  default: string | number | boolean | null;
  shown: string; // text of the default
  panel: string;
  choices: string[];
  required: boolean;
}

export interface CommandForm {
  name: string;
  help: string;
  options: OptionForm[];
  has_estimate: boolean;
}

export type State = "queued" | "running" | "paused" | "done" | "failed" | "cancelled";

export interface Progress {
  level: string;
  window: number;
  windows: number;
  done: number; // codes
  total: number;
  codes_per_second: number | null;
  seconds_left: number | null;
  saved?: number; // seconds of music, after each window
}

export interface Job {
  id: string;
  command: string;
  song: string; // name of its folder
  state: State;
  progress: Progress | null;
  warnings: string[];
  error: string | null;
  command_line: string;
}

export interface Upload {
  id: string;
  name: string;
  kind: "audio" | "midi";
  seconds: number;
}

export interface ModelFacts {
  name: string;
  artists?: string[];
  genres?: string[];
  lyrics?: boolean; // false: it cannot follow them
  midi?: boolean;
  beats?: boolean;
}

export interface SongFile {
  name: string;
  url: string;
  bytes: number;
}

export type Values = Record<string, unknown>;

/** Send a request, and return the JSON of the answer. Raises DataError with the server's message. */
async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const isFile = body instanceof Blob;
  const kind = isFile ? "application/octet-stream" : "application/json";
  let answer: Response;
  let said: unknown;
  try {
    answer = await fetch(`${ROOT}/${path}`, {
      method,
      ...(body === undefined ? {} : { headers: { "Content-Type": kind }, body: isFile ? body : JSON.stringify(body) }),
    });
    said = await answer.json();
  } catch {
    throw new DataError("The studio does not answer. Start it again with: jukectl studio");
  }
  if (!answer.ok) throw new DataError(String((said as { error?: unknown }).error));
  return said as T;
}

export const api = {
  commands: async () => (await ask<{ commands: CommandForm[] }>("GET", "commands")).commands,
  models: async () => (await ask<{ models: { name: string; path: string | null }[] }>("GET", "models")).models,
  model: (name: string) => ask<ModelFacts>("GET", `models/${name.split("/").map(encodeURIComponent).join("/")}`),
  files: async (song: string) => (await ask<{ files: SongFile[] }>("GET", `songs/${encodeURIComponent(song)}`)).files,
  zip: (song: string) => `${ROOT}/songs/${encodeURIComponent(song)}/zip`,
  estimate: (values: Values) => ask<Values>("POST", "estimates", values),
  upload: (name: string, file: Blob) => ask<Upload>("POST", `uploads?name=${encodeURIComponent(name)}`, file),
  add: (values: Values) => ask<Job>("POST", "jobs", values),
  change: (job: string, change: { state?: "paused" | "queued"; position?: number }) => ask<Job>("PATCH", `jobs/${job}`, change),
  end: (job: string) => ask<Job>("DELETE", `jobs/${job}`),
  pause: (paused: boolean) => ask<unknown>("PATCH", "queue", { paused }),
  events: () => new EventSource(`${ROOT}/events`),
};
