// What can be done with a song that is open: pick, cut, branch, upsample, and take its files away.

import { h } from "../parts/dom";
import { bytes } from "../parts/text";
import { DataError } from "../site/data";
import type { Song } from "../site/contract";
import type { Here } from "../views/page";
import { api, type Values } from "./api";

/** An action: a command, and the values that follow from what is shown. */
interface Action {
  label: string;
  title: string;
  command: string;
  given: (here: Here) => Values;
}

const second = (time: number): number => Math.round(time * 100) / 100;

const OF_SONGS: Action[] = [
  { label: "Branch here", title: "New samples from this moment on, in the same or another style", command: "branch", given: ({ sample, time }) => ({ sample, ...(time > 0 ? { at: second(time) } : {}) }) },
  { label: "Grow a tree", title: "Several continuations of this moment, and several of each of those", command: "tree", given: ({ sample, time }) => ({ sample, ...(time > 0 ? { at: second(time) } : {}), branch: 2, depth: 2 }) },
  { label: "Upsample", title: "Make the levels that are missing", command: "upsample", given: () => ({}) },
  { label: "Upsample this sample", title: "Make the levels that this sample lacks, in a new song", command: "upsample", given: ({ sample }) => ({ sample }) },
  { label: "Pick this sample", title: "Extract this sample to a new song", command: "pick", given: ({ sample }) => ({ sample }) },
  { label: "Cut here", title: "Extract the beginning up to this moment to a new song", command: "cut", given: ({ sample, time }) => ({ sample, at: second(time) }) },
  { label: "Decode", title: "Turn a level into audio, in a format of your choice", command: "decode", given: () => ({}) },
];
const OF_TREES: Action[] = [
  { label: "Grow further", title: "One step more from every leaf, or to one leaf alone", command: "tree", given: () => ({}) },
  { label: "Pick this branch", title: "Extract the path to this node to a new song", command: "pick", given: ({ path }) => ({ leaf: path ?? "" }) },
];
const RESUME: Action = { label: "Resume", title: "Finish the song from where it stopped", command: "resume", given: () => ({}) };

/** Make the panel; `order` opens the dialog of a command. */
export function nextSteps(song: Song, folder: string, here: () => Here, isBusy: () => boolean, order: (title: string, command: string, given: Values) => void): HTMLElement {
  const several = song.samples.length > 1;
  const actions = song.tree !== null ? OF_TREES : OF_SONGS.filter((one) => several || !one.label.includes("this sample"));
  const shown = song.state === "in progress" && !isBusy() ? [RESUME, ...actions] : actions;
  const buttons = shown.map(({ label, title, command, given }) =>
    h("button", { type: "button", class: "button", title, onclick: () => order(label, command, { [command === "tree" ? "source" : "song"]: folder, ...given(here()) }) }, label),
  );
  return h("section", { class: "panel next-steps" }, h("h2", {}, "Next steps"), h("div", { class: "actions" }, ...buttons), exporting(folder));
}

/** Make the list of the song's files, which is loaded when it is opened. */
function exporting(folder: string): HTMLElement {
  const list = h("ul", { class: "files" });
  const fill = async () => {
    try {
      const files = (await api.files(folder)).filter(({ name }) => /\.(wav|flac|ogg|mp3|mid|lrc|vtt)$/.test(name));
      list.replaceChildren(
        h("li", {}, h("a", { href: api.zip(folder), download: `${folder}.zip` }, "The whole folder, as zip")),
        ...files.map(({ name, url, bytes: size }) => h("li", {}, h("a", { href: url.replace(/^\//, ""), download: `${folder}-${name.replaceAll("/", "-")}` }, name), h("span", { class: "size" }, bytes(size)))),
      );
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      list.replaceChildren(h("li", { class: "problem" }, error.message));
    }
  };
  const details = h("details", {}, h("summary", {}, "Export"), list);
  details.addEventListener("toggle", () => details.open && void fill());
  return details;
}
