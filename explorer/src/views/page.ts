// The page: shows what the address names, and writes every action to the address.

import { format, NO_FILTER, NO_SONG, parse, type Place, START } from "../site/address";
import type { Annotations } from "../site/annotations";
import type { Catalogue, Found } from "../site/catalogue";
import { type Index, type Level, LEVELS, type Song } from "../site/contract";
import { DataError, loadSong } from "../site/data";
import { bdi, h, icon } from "../parts/dom";
import { helpDialog } from "../parts/help";
import { SOUND } from "../parts/icons";
import { listen } from "../parts/keys";
import { themeButton } from "../parts/theme";
import { Deck } from "../sound/deck";
import { Player } from "../sound/player";
import { pathOf, sampleOf, samplesOf } from "../sound/programme";
import { aboutDialog } from "./about";
import { CompareView } from "./compare";
import { Filters } from "./filters";
import { List } from "./list";
import { backButton, type SongActions, SongView } from "./songview";
import { firstSong, welcome } from "./welcome";

/** The half of the page that makes songs, if a studio serves it. */
export interface Making {
  readonly element: HTMLElement; // beside the list
  readonly empty: HTMLElement; // on the page while there are no songs
  panel(song: Song, here: () => Here): HTMLElement;
  isGrowing(song: string): boolean; // more of its music is being made
}

/** What is shown and played of a song. */
export interface Here {
  sample: number;
  path: string | null;
  time: number;
}

const EMPTY = "There are no songs yet. Make one with jukectl continue, then build the site again with jukectl explore.";
const FINDING = ["query", "artist", "genre", "model", "kinds", "states", "starred", "sort"] as const;

export class Page {
  private place: Place = START;
  private view: SongView | CompareView | null = null;
  private shown = ""; // the songs that `view` shows
  private pinned: Partial<Place> | null = null; // a song that waits for another one to compare it with
  private toPlay = false; // play the next song that is loaded
  private found: Found | null = null;
  private within = 0; // places before this one in the browser's history
  private readonly deck = new Deck();
  private readonly player: Player;
  private readonly filters: Filters;
  private readonly list: List;
  private readonly main = h("main", { id: "song", tabindex: -1 });
  private readonly none = h("p", { class: "nothing", hidden: true }, "No song matches. ");
  private readonly help = helpDialog();
  private readonly about: HTMLDialogElement;
  private readonly comparison: CompareView;
  private greeting: HTMLElement;
  private waiting = false; // at the end of a song that grows
  private readonly pin = h("div", { class: "pin", role: "status", hidden: true });

  constructor(
    private readonly catalogue: Catalogue,
    private readonly annotations: Annotations,
    private readonly making: Making | null = null,
  ) {
    this.player = new Player(this.deck, {
      seek: (time) => this.seek(time),
      level: (level) => this.go({ level }, false),
      sample: (sample) => this.go({ sample }, false),
    });
    this.filters = new Filters(catalogue, (change, typing) => this.go(change, typing !== true));
    this.list = new List(catalogue, { open: (id) => this.open(id), play: (id) => this.playSong(id) });
    this.about = aboutDialog(catalogue.index.models.filter(Boolean), catalogue.index.jukectl);
    this.comparison = new CompareView(this.deck, annotations, {
      go: (change) => this.go(change, false),
      seek: (time) => this.seek(time),
      open: (change) => this.go({ ...NO_SONG, ...change }, true),
      back: () => this.go({ other: null, otherSample: 0, otherPath: null, side: "a" }, true),
    });
    const act = { narrow: (change: Partial<Place>) => this.narrow(change), play: (id: string) => this.playSong(id) };
    this.greeting = this.newGreeting();
    const title = h("button", { type: "button", class: "home", onclick: () => this.go({ ...START }, true) }, bdi(catalogue.index.title || "Songs"));
    document.body.replaceChildren(
      h("a", { class: "skip", href: "#song", onclick: (event: Event) => this.skipTo(event) }, "Skip to the song"),
      h(
        "nav",
        { class: "side", "aria-label": "Songs" },
        h(
          "div",
          { class: "bar" },
          icon(SOUND),
          title,
          themeButton(() => {
            this.player.recolour();
            this.comparison.recolour();
          }),
          h("button", { type: "button", class: "round", "aria-label": "Keys", title: "Keys (?)", onclick: () => this.help.showModal() }, "?"),
        ),
        this.pin,
        making?.element,
        h("div", { class: "intro" }, firstSong(catalogue, act), h("button", { type: "button", class: "link", onclick: () => this.about.showModal() }, "About these songs")),
        this.filters.element,
        this.none,
        this.list.element,
      ),
      this.main,
      this.help,
      this.about,
    );
    this.none.append(h("button", { type: "button", class: "link", onclick: () => this.go({ ...START, song: this.place.song }, true) }, "Clear all"));
    this.deck.on("time", () => this.view instanceof SongView && this.view.moved());
    this.deck.on("state", () => {
      this.list.showPlaying(this.deck.playing ? this.place.song : null);
      if (this.deck.playing) this.waiting = false;
      if (!this.deck.playing && this.view !== null) this.keepTime();
    });
    this.deck.on("end", () => this.playOn());
    window.addEventListener("popstate", (event) => this.follow(event.state));
    window.addEventListener("hashchange", () => this.follow(history.state));
    listen({
      search: () => {
        if (this.place.song !== null && !this.wide()) this.close();
        this.filters.search.focus();
        this.filters.search.select();
      },
      step: (by) => this.walk(by),
      page: (by) => this.walk(by * this.list.perPage),
      enter: () => this.list.enter(),
      play: () => this.deck.toggle(),
      skip: (seconds) => this.view !== null && this.seek(this.deck.time + seconds),
      level: (number) => this.level(number),
      sample: (by) => this.nextSample(by),
      playRow: () => this.list.play(),
      star: () => this.view instanceof SongView && this.view.star(),
      compare: () => this.startComparing(),
      swap: () => this.place.other !== null && this.go({ side: this.place.side === "a" ? "b" : "a" }, false),
      help: () => this.help.showModal(),
      back: () => this.back(),
    });
    this.follow(history.state);
    document.documentElement.dataset["ready"] = "";
    catalogue.prepare(() => (document.documentElement.dataset["prepared"] = ""));
  }

  /** The song that is open. */
  get song(): string | null {
    return this.place.song;
  }

  /** Show another index of the songs. */
  relist(index: Index): void {
    this.catalogue.take(index);
    this.found = null;
    this.greeting = this.newGreeting();
    const { scrollTop } = this.list.element;
    this.show(this.place);
    this.list.element.scrollTop = scrollTop;
  }

  /** Show the open song again, after its files changed; the music goes on. */
  grow(song: Song): void {
    if (!(this.view instanceof SongView) || this.view.song.id !== song.id) return;
    const { waiting, view } = this;
    const same = song.state === view.song.state && song.tree === null && song.title === view.song.title;
    if (same) view.grow(song, this.place, this.deck.time);
    else {
      this.view = this.songView(song);
      this.main.replaceChildren(this.view.element);
      this.put(this.view, this.deck.time);
    }
    if (waiting) void this.deck.play();
  }

  private newGreeting(): HTMLElement {
    const act = { narrow: (change: Partial<Place>) => this.narrow(change), play: (id: string) => this.playSong(id) };
    return welcome(this.catalogue, act, this.making?.empty ?? EMPTY);
  }

  /** Change the place: as a new entry of the browser's history, or in place of the current one. */
  private go(change: Partial<Place>, push: boolean): void {
    const place = { ...this.place, ...change };
    const address = format(place) || location.pathname + location.search;
    if (push && format(place) !== format(this.place)) history.pushState({ within: ++this.within }, "", address);
    else history.replaceState({ within: this.within }, "", address);
    this.show(place);
  }

  /** Show a changed address. */
  private follow(state: unknown): void {
    const { within } = (state ?? {}) as { within?: number };
    this.within = within ?? 0;
    this.show(parse(location.hash));
  }

  private show(place: Place): void {
    const before = this.place;
    this.place = place;
    if (this.found === null || FINDING.some((name) => String(before[name]) !== String(place[name]) || (before[name] === null) !== (place[name] === null))) {
      this.found = this.catalogue.find(place);
      this.filters.show(place, this.found);
      this.none.hidden = this.found.places.length > 0 || this.catalogue.size === 0;
      this.filters.element.hidden = this.making !== null && this.catalogue.size === 0;
      this.list.element.hidden = this.found.places.length === 0;
    }
    document.body.classList.toggle("open", place.song !== null);
    this.list.show(this.found.places, place.other !== null && place.side === "b" ? place.other : place.song);
    const wanted = place.song === null ? "" : [place.song, place.other].join(" ");
    if (place.song === null) this.greet();
    else if (this.view === null || this.shown !== wanted) void this.load(place.song, place.other, wanted);
    else this.update(this.view, before);
  }

  private greet(): void {
    this.view = null;
    this.shown = "";
    this.comparison.hide();
    this.deck.clear();
    document.title = this.catalogue.index.title || "Songs";
    if (this.main.firstChild !== this.greeting) this.main.replaceChildren(this.greeting);
  }

  private update(view: SongView | CompareView, before: Place): void {
    const { place } = this;
    const time = place.time === before.time ? this.deck.time : place.time;
    if (this.isOther(view, before)) this.put(view, time);
    else if (place.level !== before.level && place.level !== null) void this.deck.choose(place.level);
    else if (place.time !== before.time && Math.abs(place.time - this.deck.time) > 0.2) this.deck.seek(place.time);
  }

  /** Return whether the place names other music of the same songs than the one before. */
  private isOther(view: SongView | CompareView, before: Place): boolean {
    const { place } = this;
    if (view instanceof CompareView) {
      return (["sample", "path", "otherSample", "otherPath", "side"] as const).some((name) => place[name] !== before[name]);
    }
    const { song } = view;
    return sampleOf(song, place.sample) !== sampleOf(song, before.sample) || pathOf(song, place.path) !== pathOf(song, before.path);
  }

  private put(view: SongView | CompareView, time: number): void {
    if (view instanceof SongView) view.show(this.place, time);
    else if (this.compared !== null) view.show(this.compared, this.place, time);
  }

  private compared: [Song, Song] | null = null;

  private async load(id: string, other: string | null, wanted: string): Promise<void> {
    const kept = this.view !== null && this.shown.split(" ")[0] === id; // between a song and its comparison, the music goes on
    const time = kept ? this.deck.time : this.place.time;
    this.view = null;
    this.shown = wanted;
    this.comparison.hide();
    if (!kept) this.deck.clear();
    this.main.setAttribute("aria-busy", "true");
    try {
      if ([id, other].some((one) => one !== null && this.catalogue.placeOf(one) < 0)) throw new DataError("This site has no such song.");
      const [song, second] = await Promise.all([loadSong(id), other === null ? null : loadSong(other)]);
      if (this.shown !== wanted) return;
      this.compared = second === null ? null : [song, second];
      const view = second === null ? this.songView(song) : this.comparison;
      this.view = view;
      this.main.replaceChildren(view.element);
      this.entitle(song, second);
      this.put(view, time);
      if (second === null) this.deck.hold([]);
      if (!this.wide()) view.heading.focus({ preventScroll: true });
      if (this.toPlay) void this.deck.play();
    } catch (error) {
      if (this.shown !== wanted) return;
      if (!(error instanceof DataError)) throw error;
      document.title = this.catalogue.index.title || "Songs";
      this.main.replaceChildren(
        h("div", { class: "song" }, backButton(() => this.close()), h("div", { class: "notice", "data-state": "broken", role: "alert" }, h("strong", {}, error.message))),
      );
    } finally {
      if (this.shown === wanted) {
        this.toPlay = false;
        this.main.removeAttribute("aria-busy");
        this.main.scrollTop = 0;
        if (!this.wide()) window.scrollTo(0, 0);
      }
    }
  }

  private songView(song: Song): SongView {
    const here = () => {
      const shown = this.view instanceof SongView ? this.view.song : song;
      return { sample: sampleOf(shown, this.place.sample), path: pathOf(shown, this.place.path), time: this.deck.time };
    };
    const actions: SongActions = {
      go: (change) => this.go(change, false),
      narrow: (change) => this.narrow(change),
      seek: (time) => this.seek(time),
      changed: () => {
        this.found = null;
        this.list.refresh();
        this.entitle(song, null);
        this.show(this.place);
      },
      compare: () => this.startComparing(),
      about: () => this.about.showModal(),
      back: () => this.close(),
    };
    return new SongView(song, this.deck, this.player, this.annotations, actions, this.making?.panel(song, here) ?? null);
  }

  private entitle(song: Song, other: Song | null): void {
    const names = [song, other].flatMap((one) => (one === null ? [] : this.annotations.of(one).title || "Untitled"));
    document.title = `${names.join(" and ")} – ${this.catalogue.index.title || "Songs"}`;
  }

  /** Open a song; if one waits to be compared, beside it. */
  open(id: string): void {
    const { pinned } = this;
    if (pinned !== null && pinned.song !== id) {
      this.unpin();
      this.go({ ...NO_SONG, ...pinned, other: id }, true);
    } else if (id !== this.place.song || this.place.other !== null) this.go({ ...NO_SONG, song: id }, true);
  }

  /** Open a song and play it from its start; pause it if it plays. */
  private playSong(id: string): void {
    if (this.pinned !== null && this.pinned.song !== id) return this.open(id);
    if (this.place.song === id && this.place.other === null && this.view !== null) return this.deck.toggle();
    this.toPlay = true;
    this.go({ ...NO_SONG, song: id }, true);
  }

  /** Play the next song of the list, after the end of this one. */
  private playOn(): void {
    const { song, other } = this.place;
    if (song !== null && this.making?.isGrowing(song)) {
      this.waiting = true;
      return;
    }
    if (!this.player.playOn.on || song === null || other !== null) return;
    const next = this.list.after(song);
    if (next === null) return;
    this.toPlay = true;
    this.go({ ...NO_SONG, song: next }, false);
  }

  /** Keep this song as A, until another one is chosen as B. */
  private startComparing(): void {
    if (!(this.view instanceof SongView) || samplesOf(this.view.song).length + (this.view.song.tree?.nodes.length ?? 0) === 0) return;
    const { song, sample, path, level, time } = { ...this.place, time: this.deck.time };
    this.pinned = { song, sample, path, level, time };
    const cancel = h("button", { type: "button", class: "link", onclick: () => this.unpin() }, "Cancel");
    this.pin.replaceChildren(h("p", {}, "Choose a song to compare with ", bdi(this.annotations.of(this.view.song).title || "Untitled"), "."), cancel);
    this.pin.hidden = false;
    if (!this.wide()) this.go(NO_SONG, true);
    this.list.element.focus({ preventScroll: true });
  }

  private unpin(): void {
    this.pinned = null;
    this.pin.hidden = true;
  }

  private back(): void {
    if (this.pinned !== null) this.unpin();
    else if (this.place.other !== null) this.go({ other: null, otherSample: 0, otherPath: null, side: "a" }, true);
    else if (this.place.song !== null) this.close();
  }

  private close(): void {
    if (this.within > 0 && !this.wide()) history.back();
    else this.go(NO_SONG, true);
    if (!this.wide()) requestAnimationFrame(() => this.list.element.focus());
  }

  /** Filter the list, by a song's artist for example; on a phone, show the list. */
  private narrow(change: Partial<Place>): void {
    this.go({ ...NO_FILTER, ...change, ...(this.wide() ? {} : NO_SONG) }, true);
  }

  private seek(time: number): void {
    this.deck.seek(time);
    this.keepTime();
  }

  private keepTime(): void {
    this.place = { ...this.place, time: this.deck.time };
    const address = format(this.place) || location.pathname + location.search;
    history.replaceState({ within: this.within }, "", address);
  }

  private walk(by: number): void {
    if (!this.wide() && this.place.song !== null) return;
    this.list.step(by);
    if (document.activeElement !== this.list.element) this.list.element.focus({ preventScroll: true });
  }

  private level(number: number): void {
    const level = LEVELS[number - 1];
    if (level !== undefined && this.levels().includes(level)) this.go({ level }, false);
  }

  private levels(): Level[] {
    if (this.view === null) return [];
    return this.view instanceof CompareView ? this.view.levels : this.player.levels;
  }

  private nextSample(by: number): void {
    if (!(this.view instanceof SongView)) return;
    const samples = samplesOf(this.view.song);
    const sample = samples[samples.indexOf(sampleOf(this.view.song, this.place.sample)) + by];
    if (sample !== undefined) this.go({ sample }, false);
  }

  private skipTo(event: Event): void {
    event.preventDefault();
    this.main.focus();
  }

  private wide(): boolean {
    return matchMedia("(min-width: 60rem)").matches;
  }
}
