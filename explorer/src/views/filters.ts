// Filters of the list, with the number of songs that each choice would leave.

import { NO_FILTER, type Place } from "../site/address";
import { type Catalogue, type Found, SORTS, type Sort } from "../site/catalogue";
import { h, icon } from "../parts/dom";
import { SEARCH } from "../parts/icons";
import { capital, count } from "../parts/text";

const MOST = 400; // names in a menu; others can be searched
const SORT_NAMES: Record<Sort, string> = { newest: "Newest first", title: "Title", artist: "Artist", length: "Longest first" };
const NAMES = new Intl.Collator("en", { numeric: true });
const LONGEST = 60; // characters of a name in a menu

type Menu = "artist" | "genre" | "model";
type Chips = "kind" | "state";

export class Filters {
  readonly element: HTMLElement;
  readonly search: HTMLInputElement;
  private readonly menus: Record<Menu, HTMLSelectElement>;
  private readonly chips: Record<Chips, HTMLElement>;
  private readonly sort: HTMLSelectElement;
  private readonly clear: HTMLButtonElement;
  private readonly size = h("span", { role: "status", class: "size" });
  private readonly folded: HTMLDetailsElement;
  private readonly inUse = h("span", { class: "in-use" });
  private readonly starred: HTMLButtonElement;
  private kinds: string[] = [];
  private states: string[] = [];

  constructor(
    private readonly catalogue: Catalogue,
    private readonly change: (change: Partial<Place>, typing?: boolean) => void,
  ) {
    this.search = h("input", {
      type: "search",
      placeholder: "Search titles, artists, genres",
      "aria-label": "Search",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => change({ query: this.search.value }, true),
    });
    const menu = (name: Menu) =>
      h("select", { "aria-label": capital(name), onchange: (event: Event) => this.pick(name, event.target as HTMLSelectElement) });
    this.menus = { artist: menu("artist"), genre: menu("genre"), model: menu("model") };
    this.chips = {
      kind: h("div", { class: "chips", role: "group", "aria-label": "Kind" }),
      state: h("div", { class: "chips", role: "group", "aria-label": "State" }),
    };
    this.sort = h(
      "select",
      { "aria-label": "Order", class: "plain", onchange: () => change({ sort: this.sort.value as Sort }) },
      ...SORTS.map((sort) => h("option", { value: sort }, SORT_NAMES[sort])),
    );
    this.clear = h(
      "button",
      { type: "button", class: "link", onclick: () => change(NO_FILTER) },
      "Clear all",
    );
    this.starred = h("button", { type: "button", class: "chip", onclick: () => change({ starred: this.starred.getAttribute("aria-pressed") !== "true" }) });
    this.folded = h(
      "details",
      { class: "filters" },
      h("summary", {}, "Filters", this.inUse),
      h("div", { class: "menus" }, this.menus.artist, this.menus.genre, this.menus.model),
      this.chips.kind,
      this.chips.state,
      h("div", { class: "chips" }, this.starred),
    );
    this.folded.open = matchMedia("(min-width: 60rem)").matches;
    this.element = h(
      "div",
      { class: "finding", role: "search" },
      h("div", { class: "searchbox" }, icon(SEARCH), this.search, h("kbd", { "aria-hidden": "true" }, "/")),
      this.folded,
      h("div", { class: "summary" }, this.size, this.clear, this.sort),
    );
  }

  show(place: Place, found: Found): void {
    if (this.search.value !== place.query) this.search.value = place.query;
    this.sort.value = place.sort;
    this.kinds = place.kinds;
    this.states = place.states;
    this.fill("artist", place.artist, found.counts.artist);
    this.fill("genre", place.genre, found.counts.genre);
    this.fill("model", place.model, found.counts.model);
    this.put("kind", found.counts.kind);
    this.put("state", found.counts.state);
    this.starred.hidden = found.starred === 0 && !place.starred;
    this.starred.setAttribute("aria-pressed", String(place.starred));
    this.starred.replaceChildren("★ starred", h("span", { class: "count" }, count(found.starred)));
    const used = [place.artist, place.genre, place.model].filter((name) => name !== null).length + place.kinds.length + place.states.length + Number(place.starred);
    this.inUse.textContent = used > 0 ? String(used) : "";
    this.clear.hidden = used === 0 && place.query === "";
    const [size, all] = [found.places.length, this.catalogue.size];
    this.size.textContent = size === all ? `${count(all)} ${all === 1 ? "song" : "songs"}` : `${count(size)} of ${count(all)} songs`;
  }

  private pick(name: Menu, menu: HTMLSelectElement): void {
    const chosen = menu.selectedOptions[0]?.dataset["name"];
    this.change({ [name]: chosen ?? null });
  }

  /** Fill a menu with names; if there are too many, with the most frequent ones. */
  private fill(facet: Menu, chosen: string | null, counts: Uint32Array): void {
    const menu = this.menus[facet];
    const names = this.catalogue.names(facet);
    let places = names.map((_, place) => place).filter((place) => (counts[place] ?? 0) > 0 || names[place] === chosen);
    const more = places.length - MOST;
    if (more > 0) {
      places.sort((one, other) => (counts[other] ?? 0) - (counts[one] ?? 0));
      places = places.filter((place, rank) => rank < MOST || names[place] === chosen);
    }
    places.sort((one, other) => NAMES.compare(names[one] as string, names[other] as string));
    const option = (name: string, label: string, size: number) =>
      h("option", { "data-name": name, selected: name === chosen }, `${cut(label)} (${count(size)})`);
    const nobody = facet === "artist" ? (counts[names.length] ?? 0) : 0;
    menu.replaceChildren(
      h("option", { selected: chosen === null }, `Any ${facet}`),
      ...(nobody > 0 || (facet === "artist" && chosen === "") ? [option("", "No artist", nobody)] : []),
      ...places.map((place) => option(names[place] as string, names[place] as string, counts[place] ?? 0)),
      ...(chosen && !names.includes(chosen) ? [option(chosen, chosen, 0)] : []),
      ...(more > 0 ? [h("option", { disabled: true }, `${count(more)} more: search for them`)] : []),
    );
    menu.classList.toggle("chosen", chosen !== null);
  }

  private put(facet: Chips, counts: Uint32Array): void {
    const chosen = facet === "kind" ? this.kinds : this.states;
    const box = this.chips[facet];
    const focused = (document.activeElement as HTMLElement | null)?.dataset["name"];
    const within = box.contains(document.activeElement);
    const buttons = this.catalogue.names(facet).flatMap((name, place) => {
      const on = chosen.includes(name);
      const size = counts[place] ?? 0;
      if (size === 0 && !on) return [];
      const others = on ? chosen.filter((one) => one !== name) : [...chosen, name];
      return [
        h(
          "button",
          {
            type: "button",
            class: "chip",
            "data-name": name,
            "data-state": facet === "state" ? name : null,
            "aria-pressed": String(on),
            onclick: () => this.change(facet === "kind" ? { kinds: others } : { states: others }),
          },
          name,
          h("span", { class: "count" }, count(size)),
        ),
      ];
    });
    box.hidden = buttons.length < 2 && chosen.length === 0;
    box.replaceChildren(...buttons);
    if (within) buttons.find((button) => button.dataset["name"] === focused)?.focus();
  }
}

function cut(name: string): string {
  return name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name;
}
