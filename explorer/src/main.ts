// The static explorer: the page over the data files beside it.

import { Annotations } from "./site/annotations";
import { Catalogue } from "./site/catalogue";
import { DataError, loadIndex } from "./site/data";
import { h } from "./parts/dom";
import { Page } from "./views/page";
import "./style/base.css";
import "./style/list.css";
import "./style/song.css";
import "./style/pages.css";
import "./style/narrow.css";

async function start(): Promise<void> {
  try {
    const catalogue = new Catalogue(await loadIndex());
    new Page(catalogue, new Annotations(catalogue));
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    document.body.replaceChildren(h("div", { class: "notice", "data-state": "broken", role: "alert" }, h("strong", {}, error.message)));
  }
}

void start();
