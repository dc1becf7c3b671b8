// The half of the page that makes songs: the queue, the dialogs, and songs that grow while they are made.

import { h, icon } from "../parts/dom";
import { PLUS } from "../parts/icons";
import type { Catalogue } from "../site/catalogue";
import type { Index, Song } from "../site/contract";
import { DataError, loadIndex, loadSong } from "../site/data";
import type { Here, Making, Page } from "../views/page";
import { api, type CommandForm, type Job, type Values } from "./api";
import { OrderDialog } from "./dialog";
import { nextSteps } from "./next";
import { PromptPicker } from "./prompt";
import { isOver, Queue } from "./queue";
import { QueueView } from "./queueview";

const STEPS = [
  "Make a draft of a few samples: the top level alone, which takes a moment. It can be heard while it is made.",
  "Listen, and pick the sample that you like. Cut it where it goes wrong, and branch from there, also in another style.",
  "Upsample it to the final sound.",
];
/** What forms are made of. */
interface Offers {
  commands: Map<string, CommandForm>;
  models: string[]; // that are on this machine
}

async function load(): Promise<Offers> {
  const [commands, models] = await Promise.all([api.commands(), api.models()]);
  return { commands: new Map(commands.map((form) => [form.name, form])), models: models.filter((model) => model.path !== null).map((model) => model.name) };
}

const AGAIN = 2000; // milliseconds until songs without their details are looked for again

/** Return an index as text, without what differs each time. */
const textOf = (index: Index): string => JSON.stringify({ ...index, made: "", filling: false });

export class Studio implements Making {
  readonly element: HTMLElement;
  readonly empty: HTMLElement;
  private page: Page | null = null;
  private toOpen: string | null = null; // folder of a new song, to be opened as soon as it is there
  private loading: Promise<void> | null = null;
  private waiting = 0;
  private shown: string; // text of the index
  private again = false; // something changed while it was loaded
  private listed = true; // the list of songs is as it was loaded
  private readonly queue: Queue;
  private readonly queueView: QueueView;

  private readonly offers: Promise<Offers> = load(); // the page need not wait for it

  constructor(private readonly catalogue: Catalogue) {
    this.shown = textOf(catalogue.index);
    this.queue = new Queue((job, before) => this.changed(job, before));
    this.queueView = new QueueView(this.queue, (song) => this.open(song));
    this.empty = h(
      "div",
      { class: "first-steps" },
      h("p", {}, "There are no songs yet. Continue a riff of yours, or begin with nothing."),
      h("ol", {}, ...STEPS.map((step) => h("li", {}, step))),
      h("button", { type: "button", class: "button primary", onclick: () => void this.make() }, icon(PLUS), "Make the first song"),
    );
    this.element = h(
      "div",
      { class: "studio" },
      h("button", { type: "button", class: "button primary new-song", onclick: () => void this.make() }, icon(PLUS), "New song"),
      this.queueView.element,
    );
  }

  /** Return the name of a song's folder. */
  readonly folder = (id: string): string => this.catalogue.index.folders?.[id] ?? id;

  /** Show the queue and what it makes on a page. */
  follow(page: Page): void {
    this.page = page;
    this.queue.follow();
    this.lookAgain();
    document.addEventListener("visibilitychange", () => !document.hidden && this.reload());
  }

  panel(song: Song, here: () => Here): HTMLElement {
    const folder = this.folder(song.id);
    return nextSteps(song, folder, here, () => this.queue.of(folder) !== null, (title, command, given) => void this.order(title, command, given, song.model));
  }

  isGrowing(song: string): boolean {
    return this.queue.of(this.folder(song))?.state === "running";
  }

  private open(folder: string): void {
    const found = Object.entries(this.catalogue.index.folders ?? {}).find(([, name]) => name === folder);
    if (found === undefined) this.toOpen = folder;
    else this.page?.open(found[0]);
  }

  /** A job changed: songs begin, grow and end. */
  private changed(job: Job | null, before: Job | null): void {
    this.queueView.update();
    if (job === null) return;
    const grew = job.progress?.saved !== undefined && (job.progress.saved !== before?.progress?.saved || job.progress.level !== before.progress.level);
    if (before !== null && before.state !== job.state) this.reload();
    else if (grew) this.reload(this.toOpen !== null);
  }

  /** Load the open song again, whose files may have changed, and the list of songs; one load at a time. */
  private reload(relist = true): void {
    this.again = true;
    if (relist) this.listed = false;
    this.loading ??= this.load().finally(() => (this.loading = null));
  }

  private async load(): Promise<void> {
    while (this.again) {
      const relist = !this.listed;
      this.again = false;
      this.listed = true;
      try {
        const id = this.page?.song ?? null;
        if (id !== null) this.page?.grow(await loadSong(id, true));
        if (relist) this.list(await loadIndex());
      } catch (error) {
        if (!(error instanceof DataError)) throw error; // such as a song that was removed
      }
      if (this.toOpen !== null && Object.values(this.catalogue.index.folders ?? {}).includes(this.toOpen)) {
        const folder = this.toOpen;
        this.toOpen = null;
        this.open(folder);
      }
      this.lookAgain();
    }
  }

  /** Show another list of songs, unless it is the same: rows must not be replaced under the pointer. */
  private list(index: Index): void {
    const shown = textOf(index);
    if (shown !== this.shown) this.page?.relist(index);
    else this.catalogue.index.filling = index.filling === true;
    this.shown = shown;
  }

  /** Load the list again soon, if songs get their details just now. */
  private lookAgain(): void {
    clearTimeout(this.waiting);
    if (this.catalogue.index.filling) this.waiting = window.setTimeout(() => this.reload(), AGAIN);
  }

  private readonly ordered = (job: Job): void => {
    if (!isOver(job)) this.toOpen = job.song;
    this.reload();
  };

  private async order(title: string, command: string, given: Values, model: string): Promise<void> {
    const { commands, models } = await this.offers;
    const form = commands.get(command);
    if (form === undefined) return;
    const dialog = new OrderDialog(title, models, this.ordered);
    dialog.show({ form, given, hidden: ["song", "source"], model });
    dialog.open();
  }

  /** Offer a new song: from a recording, or from nothing. */
  private async make(): Promise<void> {
    const { commands, models } = await this.offers;
    const [sample, goes] = [commands.get("sample"), commands.get("continue")];
    if (sample === undefined || goes === undefined) return;
    let audio = ""; // id of the upload
    const prompt = new PromptPicker((upload, part) => {
      if (upload.id === audio) return dialog.give(part);
      audio = upload.id;
      dialog.show({ form: goes, given: { audio, samples: 2, ...part }, hidden: ["audio", "start", "prompt-seconds"] });
    });
    const choice = (label: string, choose: () => void) => h("button", { type: "button", onclick: choose }, label);
    const choose = (recording: boolean) => {
      prompt.element.hidden = !recording;
      [withPrompt, without].forEach((button, place) => button.setAttribute("aria-pressed", String((place === 0) === recording)));
      audio = "";
      dialog.show(recording ? null : { form: sample, given: { samples: 2 }, hidden: [] });
    };
    const withPrompt = choice("From a recording", () => choose(true));
    const without = choice("From nothing", () => choose(false));
    const begin = h("div", { class: "begin" }, h("div", { class: "segments", role: "group", "aria-label": "Begin" }, withPrompt, without), prompt.element);
    const dialog = new OrderDialog("New song", models, this.ordered, begin);
    choose(true);
    dialog.open();
  }
}
