// The queue beside the list: each job with its progress, and buttons to pause, resume, cancel and move it.

import { words } from "../parts/command";
import { copyable } from "../parts/copying";
import { bdi, h, icon } from "../parts/dom";
import { CROSS, DOWN, PAUSE, PLAY, UP } from "../parts/icons";
import { capital, length } from "../parts/text";
import { DataError } from "../site/data";
import { api, type Job } from "./api";
import { isOver, type Queue } from "./queue";

const SHOWN = 30; // jobs that are over

export class QueueView {
  readonly element: HTMLElement;
  private readonly list = h("ul", { class: "jobs" });
  private readonly status = h("span", { class: "note" });
  private readonly pause = h("button", { type: "button", class: "link", onclick: () => this.tried(api.pause(!this.queue.paused)) });
  private readonly problem = h("p", { class: "problem", role: "alert", hidden: true });
  private readonly rows = new Map<string, Row>();
  private frame = 0;

  constructor(
    private readonly queue: Queue,
    private readonly open: (song: string) => void,
  ) {
    this.element = h("section", { class: "queue", "aria-label": "Queue", hidden: true }, h("div", { class: "queue-head" }, h("h2", {}, "Queue"), this.status, this.pause), this.problem, this.list);
  }

  /** Show the queue as it is now, once a frame. */
  update(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    const { jobs, paused } = this.queue;
    const waiting = jobs.filter((job) => !isOver(job));
    const over = jobs.filter(isOver).reverse().slice(0, SHOWN);
    this.element.hidden = jobs.length === 0;
    this.status.textContent = paused ? "Paused: no further job begins" : waiting.length === 0 ? "All done" : "";
    this.pause.textContent = paused ? "Continue" : "Pause the queue";
    this.pause.hidden = waiting.length === 0 && !paused;
    const shown = [...waiting, ...over];
    const ids = new Set(shown.map((job) => job.id));
    for (const id of this.rows.keys()) if (!ids.has(id)) this.rows.delete(id);
    const rows = shown.map((job) => {
      const row = this.rows.get(job.id) ?? new Row(this.queue, (work) => this.tried(work), this.open);
      this.rows.set(job.id, row);
      row.show(job);
      return row.element;
    });
    if (rows.some((row, place) => this.list.children[place] !== row) || this.list.children.length !== rows.length) {
      const focused = document.activeElement as HTMLElement | null;
      this.list.replaceChildren(...rows);
      if (focused !== null && this.list.contains(focused)) focused.focus();
    }
  }

  private tried(work: Promise<unknown>): void {
    this.problem.hidden = true;
    work.catch((error: unknown) => {
      if (!(error instanceof DataError)) throw error;
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    });
  }
}

/** A job. Its elements stay while it changes, so that the focus does. */
class Row {
  readonly element: HTMLElement;
  private job!: Job;
  private readonly name = h("button", { type: "button", class: "link job-name", onclick: () => this.open(this.job.song) });
  private readonly facts = h("p", { class: "note job-facts" });
  private readonly bar = h("progress", { max: 1 });
  private readonly problem = h("p", { class: "problem" });
  private readonly buttons: Record<"hold" | "up" | "down" | "end", HTMLButtonElement>;
  private readonly details = h("details", {}, h("summary", {}, "Command"));

  constructor(
    private readonly queue: Queue,
    private readonly tried: (work: Promise<unknown>) => void,
    private readonly open: (song: string) => void,
  ) {
    const button = (act: () => Promise<unknown>) => h("button", { type: "button", class: "round", onclick: () => this.tried(act()) });
    this.buttons = {
      up: button(() => this.queue.move(this.job, -1)),
      down: button(() => this.queue.move(this.job, 1)),
      hold: button(() => api.change(this.job.id, { state: this.stopped ? "queued" : "paused" })),
      end: button(() => api.end(this.job.id)),
    };
    this.element = h(
      "li",
      { class: "job" },
      h("div", { class: "job-head" }, this.name, h("div", { class: "job-buttons" }, this.buttons.up, this.buttons.down, this.buttons.hold, this.buttons.end)),
      this.bar,
      this.facts,
      this.problem,
      this.details,
    );
  }

  show(job: Job): void {
    const isNew = this.job === undefined;
    this.job = job;
    const over = isOver(job);
    this.element.dataset["state"] = job.state;
    this.name.replaceChildren(`${capital(job.command)} `, bdi(job.song));
    this.facts.textContent = factsOf(job);
    this.bar.hidden = over || job.progress === null;
    this.bar.value = job.progress === null ? 0 : job.progress.done / Math.max(job.progress.total, 1);
    this.bar.setAttribute("aria-label", `Progress of ${job.song}`);
    this.problem.textContent = job.error ?? job.warnings[0] ?? "";
    this.problem.hidden = this.problem.textContent === "";
    this.problem.className = job.error === null ? "note" : "problem";
    this.label("up", UP, "Earlier", over);
    this.label("down", DOWN, "Later", over);
    this.label("hold", this.stopped ? PLAY : PAUSE, this.stopped ? "Resume" : "Pause", job.state === "done");
    this.label("end", CROSS, over ? "Remove from the list" : "Cancel", false);
    if (isNew) this.details.append(copyable(job.command_line, "command", words(job.command_line)));
  }

  private get stopped(): boolean {
    return ["paused", "failed", "cancelled"].includes(this.job.state);
  }

  private label(which: keyof Row["buttons"], path: string, text: string, hidden: boolean): void {
    const button = this.buttons[which];
    button.hidden = hidden;
    if (button.title === text) return;
    button.title = text;
    button.setAttribute("aria-label", `${text}: ${this.job.command} ${this.job.song}`);
    button.replaceChildren(icon(path, path === PLAY || path === PAUSE));
  }
}

/** Return level, window, codes a second and time left of a job that runs, or its state. */
function factsOf({ state, progress }: Job): string {
  if (state !== "running") return state === "queued" ? "Waiting" : capital(state);
  if (progress === null) return "Begins";
  const { codes_per_second: speed, seconds_left: left } = progress;
  return [
    `${capital(progress.level)} level`,
    `window ${progress.window} of ${progress.windows}`,
    speed === null ? "" : `${Math.round(speed)} codes/s`,
    left === null ? "" : `${length(left)} left`,
  ]
    .filter(Boolean)
    .join(" · ");
}
