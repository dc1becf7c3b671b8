// Two songs on one time scale: one of them plays, and the other takes over at the same moment.

import type { Place, Side } from "../site/address";
import type { Annotations } from "../site/annotations";
import { LEVELS, type Level, type Song } from "../site/contract";
import { bdi, h } from "../parts/dom";
import { capital, length } from "../parts/text";
import type { Deck } from "../sound/deck";
import { sampleChoice, stretchesOf, swap } from "../sound/player";
import { durationOf, loudest, NOTHING, pathOf, type Programme, programmeOf, sampleOf, samplesOf } from "../sound/programme";
import { Timeline } from "../sound/timeline";
import { Transport } from "../sound/transport";
import { backButton } from "./songview";

export interface CompareActions {
  go: (change: Partial<Place>) => void;
  seek: (time: number) => void;
  open: (change: Partial<Place>) => void; // one song alone
  back: () => void;
}

const SIDES: readonly Side[] = ["a", "b"];

export class CompareView {
  readonly element: HTMLElement;
  readonly heading = h("h1", { tabindex: -1 }, "Compare");
  private readonly lanes: Record<Side, Lane>;
  private readonly transport: Transport;
  private readonly levelBox = h("div", { class: "segments", role: "group", "aria-label": "Level" });
  private readonly sideBox = h("div", { class: "segments sides", role: "group", "aria-label": "Song that plays" });
  private songs: [Song, Song] | null = null;

  constructor(
    private readonly deck: Deck,
    private readonly annotations: Annotations,
    private readonly act: CompareActions,
  ) {
    this.lanes = { a: this.lane("a"), b: this.lane("b") };
    this.transport = new Transport(deck, this.sideBox, this.levelBox);
    this.element = h(
      "article",
      { class: "song compare" },
      backButton(act.back),
      h("header", { class: "head" }, this.heading, h("p", { class: "by" }, "Two songs on one time scale. Click the other one, or press ", h("kbd", {}, "x"), ", to switch at the same moment.")),
      h("section", { class: "player", "aria-label": "Player" }, this.transport.element, this.transport.problem, this.lanes.a.element, this.lanes.b.element),
      h("div", { class: "actions" }, h("button", { type: "button", class: "button", onclick: act.back }, "Close the comparison")),
    );
    deck.on("time", () => this.moved());
    deck.on("level", () => this.songs !== null && this.redraw());
  }

  /** Show two songs as a place names them, and set the player to its time. */
  show(songs: [Song, Song], place: Place, time: number): void {
    this.songs = songs;
    const [a, b] = songs;
    this.lanes.a.show(a, this.annotations.of(a).title, sampleOf(a, place.sample), pathOf(a, place.path));
    this.lanes.b.show(b, this.annotations.of(b).title, sampleOf(b, place.otherSample), pathOf(b, place.otherPath));
    void this.deck.put(this.lanes[place.side].programme.parts, place.level, time);
    this.deck.hold(SIDES.flatMap((side) => this.lanes[side].programme.parts));
    this.transport.complain(null);
    this.sides(place.side);
    this.redraw();
  }

  /** Forget the songs, when another page is shown. */
  hide(): void {
    this.songs = null;
  }

  recolour(): void {
    for (const side of SIDES) this.lanes[side].timeline.recolour();
  }

  /** Levels that both songs have. */
  get levels(): Level[] {
    return LEVELS.filter((level) => SIDES.every((side) => this.lanes[side].programme.parts.some((part) => part.levels[level] !== undefined)));
  }

  private lane(side: Side): Lane {
    return new Lane(side, {
      seek: (time) => {
        this.act.go({ side });
        this.act.seek(time);
      },
      sample: (sample) => this.act.go(side === "a" ? { sample } : { otherSample: sample }),
      open: (song) => this.act.open({ song }),
    });
  }

  private sides(playing: Side): void {
    swap(
      this.sideBox,
      ...SIDES.map((side) =>
        h("button", { type: "button", "aria-pressed": String(side === playing), "aria-label": `Song ${side.toUpperCase()}`, onclick: () => this.act.go({ side }) }, side.toUpperCase()),
      ),
    );
    for (const side of SIDES) this.lanes[side].element.classList.toggle("on", side === playing);
  }

  private redraw(): void {
    const { level } = this.deck;
    swap(
      this.levelBox,
      ...this.levels.map((one) => h("button", { type: "button", "aria-pressed": String(one === level), onclick: () => this.act.go({ level: one }) }, capital(one))),
    );
    const programmes = SIDES.map((side) => this.lanes[side].programme);
    const span = Math.max(...programmes.map(durationOf));
    for (const side of SIDES) this.lanes[side].draw(this.deck.wanted, span, loudest(...programmes));
    this.transport.moved();
    this.moved();
  }

  private moved(): void {
    if (this.songs !== null) for (const side of SIDES) this.lanes[side].timeline.moveTo(this.deck.time);
  }
}

/** One of the two songs. */
class Lane {
  readonly element: HTMLElement;
  readonly timeline: Timeline;
  programme: Programme = NOTHING;
  private readonly head = h("div", { class: "lane-head" });

  constructor(
    private readonly side: Side,
    private readonly act: { seek: (time: number) => void; sample: (sample: number) => void; open: (song: string) => void },
  ) {
    this.timeline = new Timeline(act.seek, `Position in song ${side.toUpperCase()}`);
    this.element = h("div", { class: "lane" }, this.head, this.timeline.element);
  }

  show(song: Song, title: string, sample: number, path: string | null): void {
    this.programme = programmeOf(song, sample, path);
    const samples = path === null ? samplesOf(song).map((number) => ({ number, quiet: false })) : [];
    const branch = path ? ` · branch ${path}` : "";
    this.head.replaceChildren(
      h("span", { class: "badge", "aria-hidden": "true" }, this.side.toUpperCase()),
      h(
        "span",
        { class: "lane-title" },
        h("button", { type: "button", class: "link", title: "Open this song alone", onclick: () => this.act.open(song.id) }, bdi(title || "Untitled")),
        h("span", { class: "note" }, bdi([song.artist, ...song.genres].filter(Boolean).join(" · ")), branch, ` · ${length(durationOf(this.programme))}`),
      ),
      h("span", { class: "which" }, ...(samples.length < 2 ? [] : sampleChoice(samples, sample, this.act.sample))),
    );
  }

  draw(level: Level | null, span: number, scale: number): void {
    this.timeline.show({ ...this.programme, stretches: stretchesOf(this.programme, level), duration: durationOf(this.programme), span, loudest: scale });
  }
}
