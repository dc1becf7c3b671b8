// One song: description, player, lyrics, tree, alignment, recipe and files.

import type { Annotations } from "../site/annotations";
import type { Place } from "../site/address";
import { ownUrl, type Song } from "../site/contract";
import { words } from "../parts/command";
import { copyable, copyButton } from "../parts/copying";
import { bdi, h, icon } from "../parts/dom";
import { BACK, COMPARE, LINK } from "../parts/icons";
import { capital, clock, date, length } from "../parts/text";
import { type Deck, playableLevel } from "../sound/deck";
import type { Player, SampleChoice } from "../sound/player";
import { pathOf, programmeOf, sampleOf, samplesOf } from "../sound/programme";
import { FilesView } from "./files";
import { LyricsView } from "./lyrics";
import { Heading, NotesView } from "./notes";
import { TreeView } from "./tree";

export interface SongActions {
  go: (change: Partial<Place>) => void;
  narrow: (change: Partial<Place>) => void; // filters the list
  seek: (time: number) => void;
  changed: () => void; // title, star or notes
  compare: () => void;
  about: () => void;
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
  private readonly title: Heading;
  private readonly lyrics: LyricsView | null;
  private readonly tree: TreeView | null;
  private readonly files: FilesView;
  private readonly alignment = h("section", { class: "panel" });
  private readonly play = h("div", {});

  constructor(
    public song: Song,
    private readonly deck: Deck,
    private readonly player: Player,
    annotations: Annotations,
    private readonly act: SongActions,
    private readonly goOn: HTMLElement | null = null,
  ) {
    this.title = new Heading(song, annotations, act.changed);
    this.heading = this.title.heading;
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
      this.goOn,
      this.changes(),
      this.lyrics?.element,
      this.alignment,
      new NotesView(song, annotations, act.changed).element,
      this.making(),
      this.files.element,
      this.origin(),
    );
  }

  /** Show what a place names, and set the player to its time. */
  show(place: Place, time: number): void {
    const [sample, path] = [sampleOf(this.song, place.sample), pathOf(this.song, place.path)];
    const programme = programmeOf(this.song, sample, path);
    if (programme.parts.length === 0) this.play.replaceChildren();
    else if (this.play.firstChild !== this.player.element) this.play.replaceChildren(this.player.element); // only then: replacing it would lose the focus
    void this.deck.put(programme.parts, place.level, time);
    this.player.show(programme, path === null ? this.samples() : [], sample);
    if (path !== null) this.tree?.show(path);
    this.align(sample);
    this.files.show(sample, path);
    this.moved();
  }

  /** Take over the same song with more music, and show a place in it. */
  grow(song: Song, place: Place, time: number): void {
    this.song = this.files.song = song;
    this.show(place, time);
  }

  moved(): void {
    this.lyrics?.moveTo(this.deck.time);
  }

  /** Star the song, or remove its star. */
  star(): void {
    void this.title.toggle();
  }

  private samples(): SampleChoice[] {
    const quiet = (number: number) => {
      const levels = this.song.samples.find((one) => one.number === number)?.levels ?? {};
      const level = playableLevel(levels, null);
      return level !== null && levels[level]?.quiet === true;
    };
    return samplesOf(this.song).map((number) => ({ number, quiet: quiet(number) }));
  }

  private playFrom(path: string, time: number): void {
    this.act.go({ path });
    this.act.seek(time);
    void this.deck.play();
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
      this.title.element,
      h("p", { class: "by" }, by, ...genres),
      h("div", { class: "actions" }, this.comparing(), this.goOn === null && linkButton(song.id)),
      h(
        "dl",
        { class: "facts" },
        ...facts.filter(([, value]) => value !== "").map(([what, value]) => h("div", {}, h("dt", {}, what), h("dd", {}, bdi(value)))),
      ),
    );
  }

  private comparing(): HTMLElement | null {
    if (programmeOf(this.song, sampleOf(this.song, 0), pathOf(this.song, null)).parts.length === 0) return null;
    return h("button", { type: "button", class: "button", title: "Compare with another song (c)", onclick: this.act.compare }, icon(COMPARE), "Compare");
  }

  /** Say where the music comes from, for readers who were sent a link to this song. */
  private origin(): HTMLElement {
    const { model } = this.song;
    return h(
      "footer",
      { class: "note" },
      "Generated by jukectl",
      ...(model ? [" with the model ", bdi(model)] : []),
      ". ",
      h("button", { type: "button", class: "link", onclick: this.act.about }, "About the model and its levels"),
    );
  }

  private notice(): HTMLElement | null {
    const about = STATES[this.song.state] ?? (this.song.quiet ? "This song is nearly silent." : undefined);
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
  return h("button", { type: "button", class: "back link", onclick: back }, icon(BACK), "All songs");
}

/** Make a button that copies a link to the song, by its page with a preview; null for a site on disk. */
function linkButton(id: string): HTMLElement | null {
  if (location.protocol === "file:") return null;
  const link = new URL(`listen/${encodeURIComponent(id)}.html`, location.href.replace(/#.*/, "")).href;
  return copyButton(link, "Copy link", "link", icon(LINK));
}
