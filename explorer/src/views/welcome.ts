// The page beside the list while no song is open: an overview of the site.

import { type Place, START } from "../site/address";
import type { Catalogue } from "../site/catalogue";
import { bdi, h } from "../parts/dom";
import { count, date, long } from "../parts/text";

export function welcome(catalogue: Catalogue, narrow: (change: Partial<Place>) => void): HTMLElement {
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
  return h(
    "div",
    { class: "welcome" },
    h("h1", {}, bdi(index.title || "Songs")),
    h("p", { class: "by" }, facts.join(" · ")),
    kinds.length === 0
      ? h("p", {}, "There are no songs yet. Make one with jukectl continue, then build the site again with jukectl explore.")
      : h(
          "ul",
          { class: "kinds" },
          ...kinds.map(({ name, size }) => {
            const bar = h("span", { class: "bar" });
            bar.style.width = `${Math.max((size / most) * 100, 0.5)}%`;
            return h(
              "li",
              {},
              h("button", { type: "button", onclick: () => narrow({ kinds: [name] }) }, h("span", { class: "name" }, name), h("span", { class: "count" }, count(size)), bar),
            );
          }),
        ),
    h("p", { class: "note" }, "Choose a song to play it. Press ", h("kbd", {}, "?"), " for the keyboard shortcuts."),
  );
}

