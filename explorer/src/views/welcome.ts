// The page beside the list while no song is open: a first song to play, the origin of the music, and an overview.

import { type Place, START } from "../site/address";
import type { Catalogue, Entry } from "../site/catalogue";
import { bdi, h, icon } from "../parts/dom";
import { PLAY } from "../parts/icons";
import { outlineBars } from "../parts/outline";
import { count, date, length, long } from "../parts/text";
import { levels, origin } from "./about";

const BARS = 48;

export interface WelcomeActions {
  narrow: (change: Partial<Place>) => void;
  play: (id: string) => void;
}

export function welcome(catalogue: Catalogue, act: WelcomeActions, empty: HTMLElement | string): HTMLElement {
  const { index } = catalogue;
  const found = catalogue.find(START);
  const seconds = index.columns.indexOf("seconds");
  const total = index.songs.reduce((sum, row) => sum + Number(row[seconds]), 0);
  const kinds = index.kinds
    .map((name, place) => ({ name, size: found.counts.kind[place] ?? 0 }))
    .filter(({ size }) => size > 0)
    .sort((one, other) => other.size - one.size);
  const most = kinds[0]?.size ?? 1;
  const facts = [
    `${count(catalogue.size)} ${catalogue.size === 1 ? "song" : "songs"}`,
    catalogue.size > 0 && total > 0 ? `${long(total)} of music` : "",
    date(index.made) && `made ${date(index.made)}`,
  ].filter(Boolean);
  if (kinds.length === 0) {
    return h("div", { class: "welcome" }, title(catalogue), h("p", { class: "by" }, facts.join(" · ")), typeof empty === "string" ? h("p", {}, empty) : empty);
  }
  return h(
    "div",
    { class: "welcome" },
    title(catalogue),
    h("p", { class: "by" }, facts.join(" · ")),
    origin(index.models.filter(Boolean)),
    firstSong(catalogue, act),
    h("section", { class: "overview" }, h("h2", {}, "The levels"), levels()),
    h(
      "section",
      { class: "overview" },
      h("h2", {}, "By kind"),
      h(
        "ul",
        { class: "kinds" },
        ...kinds.map(({ name, size }) => {
          const bar = h("span", { class: "bar" });
          bar.style.width = `${Math.max((size / most) * 100, 0.5)}%`;
          return h(
            "li",
            {},
            h("button", { type: "button", onclick: () => act.narrow({ kinds: [name] }) }, h("span", { class: "name" }, name), h("span", { class: "count" }, count(size)), bar),
          );
        }),
      ),
    ),
    h("p", { class: "note" }, "Press ", h("kbd", {}, "?"), " for the keyboard shortcuts."),
  );
}

function title(catalogue: Catalogue): HTMLElement {
  return h("h1", {}, bdi(catalogue.index.title || "Songs"));
}

/** Make a large button that opens and plays the song to begin with; null without one. */
export function firstSong(catalogue: Catalogue, act: Pick<WelcomeActions, "play">): HTMLElement | null {
  const place = catalogue.placeOf(catalogue.index.first ?? "");
  if (place < 0) return null;
  const song = catalogue.entry(place);
  return h(
    "button",
    { type: "button", class: "first", onclick: () => act.play(song.id) },
    h("span", { class: "play", "aria-hidden": "true" }, icon(PLAY, true)),
    h("span", { class: "first-text" }, h("span", { class: "first-label" }, "Start here"), h("span", { class: "first-title" }, bdi(song.title || "Untitled")), h("span", { class: "first-by" }, by(song))),
    song.outline && outlineBars(song.outline, BARS, song.seconds > 0 ? song.prompt / song.seconds : 0),
  );
}

function by(song: Entry): string {
  return [song.artist, ...song.genres, song.seconds > 0 ? length(song.seconds) : ""].filter(Boolean).join(" · ");
}
