// The page over the data files beside it; with a studio behind it, also the half that makes songs.

import { Annotations } from "./site/annotations";
import { Catalogue } from "./site/catalogue";
import { DataError, IN_STUDIO, loadIndex } from "./site/data";
import { h } from "./parts/dom";
import { Studio } from "./studio/studio";
import { Page } from "./views/page";
import "./style/base.css";
import "./style/list.css";
import "./style/song.css";
import "./style/pages.css";
import "./style/studio.css";
import "./style/narrow.css";

async function start(): Promise<void> {
  try {
    const catalogue = new Catalogue(await loadIndex());
    const studio = IN_STUDIO ? new Studio(catalogue) : null;
    const page = new Page(catalogue, new Annotations(catalogue, studio?.folder ?? null), studio);
    studio?.follow(page);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    document.body.replaceChildren(h("div", { class: "notice", "data-state": "broken", role: "alert" }, h("strong", {}, error.message)));
  }
}

void start();
