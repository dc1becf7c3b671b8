// One song: description, player, lyrics, tree, alignment, recipe and files.

import type { Place } from "../site/address";
import { LEVELS, type Hearings, ownUrl, type Song } from "../site/contract";
import { words } from "../parts/command";
import { copyable } from "../parts/copying";
import type { Deck, Part } from "../sound/deck";
import { bdi, h, icon } from "../parts/dom";
import { FilesView } from "./files";
import { LyricsView } from "./lyrics";
import type { Player, Programme } from "../sound/player";
import { capital, clock, date, length } from "../parts/text";
import { along, audible, firstPath, TreeView } from "./tree";

export interface SongActions {
  go: (change: Partial<Place>) => void;
  narrow: (change: Partial<Place>) => void; // filters the list
  seek: (time: number) => void;
  back: () => void;
}

const STATES: Record<string, string> = {
  "in progress": "This song is not finished. The finished part can be played.",
  broken: "This folder is not a readable song.",
  newer: "This song was written by a newer jukectl.",
};

export class SongView {
  readonly element: HTMLElement;
  readonly heading: HTMLElement;
  private readonly lyrics: LyricsView | null;
  private readonly tree: TreeView | null;
  private readonly files: FilesView;
  private readonly alignment = h("section", { class: "panel" });
  private readonly play = h("div", {});

  constructor(
    readonly song: Song,
    private readonly deck: Deck,
    private readonly player: Player,
    private readonly act: SongActions,
  ) {
    this.heading = h("h1", { tabindex: -1, title: song.title.length > 80 ? song.title : null }, bdi(song.title || "Untitled"));
    this.lyrics = song.lyrics === null ? null : new LyricsView(song.lyrics, act.seek);
    this.files = new FilesView(song);
    const nodes = song.tree?.nodes ?? [];
    this.tree = nodes.length === 0 ? null : new TreeView(nodes, (path) => act.go({ path }), (node) => this.playFrom(node.path, node.start));
    this.element = h(
      "article",
      { class: "song" },
      backButton(act.back),
      this.head(),
      this.notice(),
      this.tree?.element,
      this.play,
      this.changes(),
      this.lyrics?.element,
      this.alignment,
      this.making(),
      this.files.element,
    );
  }

  /** Samples that can be played. */
  get samples(): number[] {
    return this.song.samples.filter((sample) => Object.keys(sample.levels).length > 0).map((sample) => sample.number);
  }

  sampleAt(place: Place): number {
    const numbers = this.samples;
    return numbers.includes(place.sample) ? place.sample : (numbers[0] ?? 0);
  }

  pathAt(place: Place): string {
    const nodes = this.song.tree?.nodes ?? [];
    return place.path !== null && along(nodes, place.path).length > 0 ? place.path : firstPath(nodes);
  }

  /** Show what a place names, and set the player to its time. */
  show(place: Place, time: number): void {
    const sample = this.sampleAt(place);
    const programme = this.tree === null ? this.sample(sample) : this.path(this.pathAt(place));
    if (programme.parts.length === 0) this.play.replaceChildren();
    else if (this.play.firstChild !== this.player.element) this.play.replaceChildren(this.player.element); // only then: replacing it would lose the focus
    void this.deck.put(programme.parts, place.level, time);
    this.player.show(programme, this.tree === null ? this.samples : [], sample);
    this.tree?.show(this.pathAt(place));
    this.align(sample);
    this.files.show(sample, this.tree === null ? null : this.pathAt(place));
    this.moved();
  }

  moved(): void {
    this.lyrics?.moveTo(this.deck.time);
  }

  private playFrom(path: string, time: number): void {
    this.act.go({ path });
    this.act.seek(time);
    void this.deck.play();
  }

  private sample(number: number): Programme {
    const { song } = this;
    const levels = song.samples.find((sample) => sample.number === number)?.levels ?? {};
    const seconds = longest(levels);
    const parts: Part[] = seconds > 0 ? [{ start: 0, seconds, levels }] : [];
    return { parts, prompt: Math.min(song.prompt, seconds), changes: song.changes, joints: [] };
  }

  private path(path: string): Programme {
    const parts: Part[] = [];
    const joints: { at: number; label: string }[] = [];
    let at = 0;
    for (const node of along(this.song.tree?.nodes ?? [], path)) {
      if (!audible(node)) break; // later nodes cannot be played without it
      const seconds = longest(node.levels);
      if (at > 0) joints.push({ at, label: node.path });
      parts.push({ start: at, seconds, levels: node.levels });
      at += seconds;
    }
    return { parts, prompt: Math.min(this.song.prompt, at), changes: this.song.changes, joints };
  }

  private head(): HTMLElement {
    const { song, act } = this;
    const { artist } = song;
    const name = (text: string, change: Partial<Place>) =>
      h("button", { type: "button", class: "link", onclick: () => act.narrow(change) }, bdi(text));
    const by = artist === null ? h("span", {}, "No artist") : name(artist, { artist });
    const genres = song.genres.flatMap((genre) => ["\u00a0· ", name(genre, { genre })]);
    const facts: [string, string][] = [
      ["Kind", capital(song.kind)],
      ["Length", song.seconds > 0 ? length(song.seconds) : ""],
      ["Prompt", song.prompt > 0 ? length(song.prompt) : ""],
      ["Model", song.model],
      ["Seed", song.seed === null || song.seed === undefined ? "" : String(song.seed)],
      ["Made", date(song.made)],
    ];
    return h(
      "header",
      { class: "head" },
      this.heading,
      h("p", { class: "by" }, by, ...genres),
      h(
        "dl",
        { class: "facts" },
        ...facts.filter(([, value]) => value !== "").map(([what, value]) => h("div", {}, h("dt", {}, what), h("dd", {}, bdi(value)))),
      ),
    );
  }

  private notice(): HTMLElement | null {
    const about = STATES[this.song.state];
    if (about === undefined) return null;
    return h(
      "div",
      { class: "notice", "data-state": this.song.state },
      h("strong", {}, about),
      this.song.problem !== null && h("p", {}, bdi(this.song.problem)),
    );
  }

  /** List the changes, which have little room on the timeline. */
  private changes(): HTMLElement | null {
    const { changes } = this.song;
    if (changes.length === 0) return null;
    const rows = changes.map(({ at, label }) => {
      const time = h("button", { type: "button", class: "link", "aria-label": `Jump to ${clock(at)}`, onclick: () => this.act.seek(at) }, clock(at));
      return h("li", {}, time, bdi(label));
    });
    return h("section", { class: "panel" }, h("h2", {}, "Changes"), h("ul", { class: "changes" }, ...rows));
  }

  private align(sample: number): void {
    const images = this.song.alignment.filter((one) => one.sample === sample).flatMap((one) => ownUrl(one.image) ?? []);
    this.alignment.hidden = images.length === 0;
    this.alignment.replaceChildren(
      h("h2", {}, "Alignment"),
      ...images.map((url) =>
        h(
          "figure",
          {},
          h("a", { href: url, target: "_blank", rel: "noopener" }, h("img", { src: url, loading: "lazy", alt: `Attention of the model to the lyrics over time, sample ${sample}` })),
          h("figcaption", {}, "Attention of the model to the lyrics, from top to bottom, over the time of the music, from left to right."),
        ),
      ),
    );
  }

  private making(): HTMLElement | null {
    const { command, recipe } = this.song;
    if (!command && !recipe) return null;
    const file = this.tree === null ? "song.toml" : "tree.toml";
    return h(
      "section",
      { class: "panel" },
      h("h2", {}, "Command and recipe"),
      command ? copyable(command, "command", words(command)) : null,
      recipe ? h("details", {}, h("summary", {}, "Recipe ", h("code", {}, file)), copyable(recipe, "recipe")) : null,
    );
  }
}

/** Make a button back to the list, for windows too narrow to show both. */
export function backButton(back: () => void): HTMLElement {
  return h("button", { type: "button", class: "back link", onclick: back }, icon("M14 6l-6 6 6 6"), "All songs");
}

function longest(levels: Hearings): number {
  return Math.max(0, ...LEVELS.map((level) => levels[level]?.seconds ?? 0));
}
