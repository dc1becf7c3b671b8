// Title, star and notes of a song, which a person may change.

import { type Annotations, LONGEST_NOTES, LONGEST_TITLE } from "../site/annotations";
import type { Song } from "../site/contract";
import { DataError } from "../site/data";
import { bdi, h, icon } from "../parts/dom";
import { PENCIL, STAR } from "../parts/icons";

const PAUSE = 900; // milliseconds without typing after which notes are saved

/** The heading of a song, with buttons that rename and star it. */
export class Heading {
  readonly element: HTMLElement;
  readonly heading = h("h1", { tabindex: -1 });
  private readonly star = h("button", { type: "button", class: "round star", onclick: () => void this.toggle() }, icon(STAR));
  private readonly rename = h("button", { type: "button", class: "round", "aria-label": "Rename", title: "Rename", onclick: () => this.edit() }, icon(PENCIL));
  private readonly problem = h("p", { class: "problem", role: "alert", hidden: true });
  private readonly row: HTMLElement;

  constructor(
    private readonly song: Song,
    private readonly annotations: Annotations,
    private readonly changed: () => void,
  ) {
    this.row = h("div", { class: "title-row" }, this.heading, this.rename, this.star);
    this.element = h("div", {}, this.row, this.problem);
    this.show();
  }

  async toggle(): Promise<void> {
    await this.save({ star: !this.annotations.of(this.song).star });
  }

  private show(): void {
    const { title, star } = this.annotations.of(this.song);
    this.heading.replaceChildren(bdi(title || "Untitled"));
    if (title.length > 80) this.heading.title = title;
    this.star.setAttribute("aria-pressed", String(star));
    this.star.setAttribute("aria-label", "Star");
    this.star.title = star ? "Remove the star (s)" : "Star this song (s)";
  }

  private edit(): void {
    const field: HTMLInputElement = h("input", { class: "title-field", "aria-label": "Title", maxlength: LONGEST_TITLE, autocomplete: "off" });
    field.value = this.annotations.of(this.song).title.slice(0, LONGEST_TITLE);
    const close = () => {
      form.replaceWith(this.row);
      this.rename.focus();
    };
    const form: HTMLFormElement = h(
      "form",
      {
        class: "title-row",
        onsubmit: (event: Event) => {
          event.preventDefault();
          void this.save({ title: field.value.trim() }).then((done) => done && close());
        },
        onkeydown: (event: KeyboardEvent) => {
          if (event.key !== "Escape") return;
          event.stopPropagation();
          close();
        },
      },
      field,
      h("button", { type: "submit", class: "button" }, "Save"),
      h("button", { type: "button", class: "button", onclick: close }, "Cancel"),
    );
    this.row.replaceWith(form);
    field.select();
    field.focus();
  }

  private async save(change: { title?: string; star?: boolean }): Promise<boolean> {
    const problem = await tried(() => this.annotations.change(this.song, change));
    this.problem.hidden = problem === null;
    this.problem.textContent = problem;
    this.show();
    if (problem === null) this.changed();
    return problem === null;
  }
}

/** Notes on a song, saved while they are written. */
export class NotesView {
  readonly element: HTMLElement;
  private readonly field: HTMLTextAreaElement;
  private readonly status = h("span", { role: "status" });
  private waiting = 0;
  private saved: string;

  constructor(
    private readonly song: Song,
    private readonly annotations: Annotations,
    changed: () => void,
  ) {
    this.saved = annotations.of(song).notes;
    this.field = h("textarea", {
      class: "notes",
      rows: 3,
      "aria-labelledby": "notes-heading",
      maxlength: LONGEST_NOTES,
      dir: "auto",
      placeholder: "What to keep, what to try next …",
      oninput: () => this.later(),
      onblur: () => void this.save(),
    });
    this.field.value = this.saved;
    const picker: HTMLInputElement = h("input", { type: "file", accept: ".json", class: "unseen", tabindex: -1, "aria-hidden": "true", onchange: () => void this.take(picker, changed) });
    const inBrowser = [
      h("button", { type: "button", class: "link", onclick: () => this.export() }, "Export"),
      h("button", { type: "button", class: "link", onclick: () => picker.click() }, "Import"),
      picker,
    ];
    this.element = h(
      "section",
      { class: "panel" },
      h("h2", { id: "notes-heading" }, "Notes"),
      this.field,
      h(
        "p",
        { class: "note beside" },
        annotations.onServer ? "Titles, stars and notes are kept in the song's about.toml." : "Titles, stars and notes of yours are kept in this browser.",
        ...(annotations.onServer ? [] : inBrowser),
        this.status,
      ),
    );
  }

  private later(): void {
    clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => void this.save(), PAUSE);
  }

  private async save(): Promise<void> {
    clearTimeout(this.waiting);
    const notes = this.field.value;
    if (notes === this.saved) return;
    this.saved = notes;
    const problem = await tried(() => this.annotations.change(this.song, { notes }));
    if (problem !== null) this.saved = ""; // the next pause tries again
    this.status.classList.toggle("problem", problem !== null);
    this.status.textContent = problem ?? "Saved";
  }

  private export(): void {
    const url = URL.createObjectURL(new Blob([this.annotations.exported()], { type: "application/json" }));
    const link = h("a", { href: url, download: "jukectl-notes.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  private async take(picker: HTMLInputElement, changed: () => void): Promise<void> {
    const file = picker.files?.[0];
    picker.value = "";
    if (file === undefined) return;
    let count = 0;
    const problem = await tried(async () => void (count = this.annotations.import(await file.text())));
    if (problem === null) changed();
    this.field.value = this.saved = this.annotations.of(this.song).notes;
    this.status.classList.toggle("problem", problem !== null);
    this.status.textContent = problem ?? `Notes on ${count} ${count === 1 ? "song" : "songs"} imported`;
  }
}

/** Run a change; return the problem to show, null if there is none. */
async function tried(change: () => Promise<void>): Promise<string | null> {
  try {
    await change();
    return null;
  } catch (error) {
    if (error instanceof DataError) return error.message;
    throw error;
  }
}
