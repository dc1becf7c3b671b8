// The page: shows what the address names, and writes every action to the address.

import { format, parse, type Place, START } from "../site/address";
import { Catalogue, type Found } from "../site/catalogue";
import { LEVELS } from "../site/contract";
import { DataError, loadIndex, loadSong } from "../site/data";
import { Deck } from "../sound/deck";
import { bdi, h, icon } from "../parts/dom";
import { Filters } from "./filters";
import { helpDialog } from "../parts/help";
import { listen } from "../parts/keys";
import { List } from "./list";
import { Player } from "../sound/player";
import { backButton, SongView } from "./songview";
import { themeButton } from "../parts/theme";
import { welcome } from "./welcome";
import "./style.css";

const FINDING = ["query", "artist", "genre", "model", "kinds", "states", "sort"] as const;

class Page {
  private place: Place = START;
  private view: SongView | null = null;
  private found: Found | null = null;
  private within = 0; // places before this one in the browser's history
  private readonly deck = new Deck();
  private readonly player: Player;
  private readonly filters: Filters;
  private readonly list: List;
  private readonly main = h("main", { id: "song", tabindex: -1 });
  private readonly none = h("p", { class: "nothing", hidden: true }, "No song matches. ");
  private readonly help = helpDialog();
  private readonly greeting: HTMLElement;

  constructor(private readonly catalogue: Catalogue) {
    this.player = new Player(this.deck, {
      seek: (time) => this.seek(time),
      level: (level) => this.go({ level }, false),
      sample: (sample) => this.go({ sample }, false),
    });
    this.filters = new Filters(catalogue, (change, typing) => this.go(change, typing !== true));
    this.list = new List(catalogue, (id) => this.open(id));
    this.greeting = welcome(catalogue, (change) => this.narrow(change));
    const title = h("button", { type: "button", class: "home", onclick: () => this.go({ ...START }, true) }, bdi(catalogue.index.title || "Songs"));
    document.body.replaceChildren(
      h("a", { class: "skip", href: "#song", onclick: (event: Event) => this.skipTo(event) }, "Skip to the song"),
      h(
        "nav",
        { class: "side", "aria-label": "Songs" },
        h(
          "div",
          { class: "bar" },
          icon("M4 10v4M8 6v12M12 9v6M16 4v16M20 10v4"),
          title,
          themeButton(() => this.player.recolour()),
          h("button", { type: "button", class: "round", "aria-label": "Keys", title: "Keys (?)", onclick: () => this.help.showModal() }, "?"),
        ),
        this.filters.element,
        this.none,
        this.list.element,
      ),
      this.main,
      this.help,
    );
    this.none.append(h("button", { type: "button", class: "link", onclick: () => this.go({ ...START, song: this.place.song }, true) }, "Clear all"));
    this.deck.on("time", () => this.view?.moved());
    this.deck.on("state", () => !this.deck.playing && this.view !== null && this.keepTime());
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
      help: () => this.help.showModal(),
      back: () => this.place.song !== null && this.close(),
    });
    this.follow(history.state);
    document.documentElement.dataset["ready"] = "";
    catalogue.prepare(() => (document.documentElement.dataset["prepared"] = ""));
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
      this.none.hidden = this.found.places.length > 0;
      this.list.element.hidden = this.found.places.length === 0;
    }
    document.body.classList.toggle("open", place.song !== null);
    this.list.show(this.found.places, place.song);
    if (place.song === null) this.greet();
    else if (this.view?.song.id !== place.song) void this.load(place.song);
    else if (this.view !== null) this.update(this.view, before);
  }

  private greet(): void {
    this.view = null;
    this.deck.clear();
    document.title = this.catalogue.index.title || "Songs";
    if (this.main.firstChild !== this.greeting) this.main.replaceChildren(this.greeting);
  }

  private update(view: SongView, before: Place): void {
    const { place } = this;
    const time = place.time === before.time ? this.deck.time : place.time;
    if (view.sampleAt(place) !== view.sampleAt(before) || (view.song.tree !== null && view.pathAt(place) !== view.pathAt(before))) {
      view.show(place, time);
    } else if (place.level !== before.level && place.level !== null) void this.deck.choose(place.level);
    else if (place.time !== before.time && Math.abs(place.time - this.deck.time) > 0.2) this.deck.seek(place.time);
  }

  private async load(id: string): Promise<void> {
    this.view = null;
    this.deck.clear();
    this.main.setAttribute("aria-busy", "true");
    try {
      if (this.catalogue.placeOf(id) < 0) throw new DataError("This site has no such song.");
      const song = await loadSong(id);
      if (this.place.song !== id) return;
      const view = new SongView(song, this.deck, this.player, {
        go: (change) => this.go(change, false),
        narrow: (change) => this.narrow(change),
        seek: (time) => this.seek(time),
        back: () => this.close(),
      });
      this.view = view;
      this.main.replaceChildren(view.element);
      document.title = `${song.title || "Untitled"} – ${this.catalogue.index.title || "Songs"}`;
      view.show(this.place, this.place.time);
      if (!this.wide()) view.heading.focus({ preventScroll: true });
    } catch (error) {
      if (this.place.song !== id) return;
      if (!(error instanceof DataError)) throw error;
      document.title = this.catalogue.index.title || "Songs";
      this.main.replaceChildren(
        h("div", { class: "song" }, backButton(() => this.close()), h("div", { class: "notice", "data-state": "broken", role: "alert" }, h("strong", {}, error.message))),
      );
    } finally {
      this.main.removeAttribute("aria-busy");
      this.main.scrollTop = 0;
      if (!this.wide()) window.scrollTo(0, 0);
    }
  }

  private open(id: string): void {
    if (id !== this.place.song) this.go({ song: id, sample: 0, time: 0, path: null }, true);
  }

  private close(): void {
    if (this.within > 0 && !this.wide()) history.back();
    else this.go({ song: null, sample: 0, time: 0, path: null }, true);
    if (!this.wide()) requestAnimationFrame(() => this.list.element.focus());
  }

  /** Filter the list, by a song's artist for example; on a phone, show the list. */
  private narrow(change: Partial<Place>): void {
    const all = { query: "", artist: null, genre: null, model: null, kinds: [], states: [] };
    this.go({ ...all, ...change, ...(this.wide() ? {} : { song: null }) }, true);
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
    if (level !== undefined && this.view !== null && this.player.levels.includes(level)) this.go({ level }, false);
  }

  private nextSample(by: number): void {
    const samples = this.view?.samples ?? [];
    const sample = samples[samples.indexOf(this.view?.sampleAt(this.place) ?? 0) + by];
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

async function start(): Promise<void> {
  try {
    new Page(new Catalogue(await loadIndex()));
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    document.body.replaceChildren(h("div", { class: "notice", "data-state": "broken", role: "alert" }, h("strong", {}, error.message)));
  }
}

void start();
