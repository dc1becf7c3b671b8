// Downloads: the audio of the selection, the recipe and the codes, each with a descriptive file name.

import { along } from "../site/branches";
import { type Download, type Hearings, LEVELS, ownUrl, type Song } from "../site/contract";
import { bdi, h } from "../parts/dom";
import { bytes, fileName } from "../parts/text";

/** From disk, browsers show a file instead of saving it: open it in a new tab. */
const FROM_DISK = location.protocol === "file:" ? { target: "_blank", rel: "noopener" } : {};

/** Files under one heading; `part` is the part of the song in their file names. */
interface Group {
  heading: string;
  part: string;
  files: Download[];
}

export class FilesView {
  readonly element = h("section", { class: "panel" });

  constructor(public song: Song) {}

  /** Show the files of a sample, or of the nodes on a path through a tree. */
  show(sample: number, path: string | null): void {
    const groups = path === null ? this.ofSample(sample) : this.ofPath(path);
    const shown = groups.map((group) => this.group(group)).filter((one) => one !== null);
    this.element.hidden = shown.length === 0;
    this.element.replaceChildren(h("h2", {}, "Files"), ...shown);
  }

  private ofSample(number: number): Group[] {
    const { samples, downloads } = this.song;
    const levels = samples.find((one) => one.number === number)?.levels ?? {};
    const one = samples.length < 2;
    return [
      { heading: one ? "Audio" : `Audio of sample ${number}`, part: one ? "" : `sample ${number}`, files: recordings(levels) },
      { heading: one ? "Recipe and codes" : "Recipe and codes of all samples", part: "", files: downloads },
    ];
  }

  private ofPath(path: string): Group[] {
    const nodes = along(this.song.tree?.nodes ?? [], path).map((node) => ({
      heading: node.path === "" ? "Root" : `Branch ${node.path}`,
      part: node.path === "" ? "root" : `branch ${node.path}`,
      files: [...recordings(node.levels), ...(node.downloads ?? [])],
    }));
    return [...nodes, { heading: "Recipe of the tree", part: "", files: this.song.downloads }];
  }

  private group({ heading, part, files }: Group): HTMLElement | null {
    const rows = files.flatMap(({ label, url, bytes: size }) => {
      const own = ownUrl(url);
      if (own === null) return [];
      const link = h("a", { href: own, download: fileName(this.song.title, part, label), ...FROM_DISK }, bdi(label));
      return [h("li", {}, link, h("span", { class: "size" }, typeof size === "number" ? bytes(size) : ""))];
    });
    if (rows.length === 0) return null;
    return h("div", { class: "file-group" }, h("h3", {}, heading), h("ul", { class: "files" }, ...rows));
  }
}

/** List the audio of each level, the lowest level first. */
function recordings(levels: Hearings): Download[] {
  return [...LEVELS].reverse().flatMap((level) => {
    const hearing = levels[level];
    if (hearing === undefined) return [];
    const suffix = /\.[A-Za-z0-9]{1,5}$/.exec(hearing.audio.replace(/\?.*/, ""))?.[0] ?? "";
    return [{ label: `${level}${suffix}`, url: hearing.audio, bytes: hearing.bytes }];
  });
}
