// A dialog that orders a command: its form, the estimate of time and memory, and the button.

import { h } from "../parts/dom";
import { bytes, long } from "../parts/text";
import { DataError } from "../site/data";
import { api, type CommandForm, type Job, type Values } from "./api";
import { Fields } from "./fields";

const PAUSE = 700; // milliseconds without typing after which the estimate is made

/** What a dialog orders. */
export interface Offer {
  form: CommandForm;
  given: Values; // chosen already
  hidden: string[]; // options that have no field
  model?: string; // the default of --model
}

export class OrderDialog {
  readonly element: HTMLDialogElement;
  private readonly body = h("div", {});
  private readonly estimate = h("p", { class: "estimate", role: "status" });
  private readonly problem = h("p", { class: "problem", role: "alert", hidden: true });
  private readonly button = h("button", { type: "submit", class: "button primary" });
  private readonly finished = h("input", { type: "checkbox", id: "finished" });
  private readonly depth = h(
    "div",
    { class: "field check depth" },
    h("label", { for: "finished" }, "Down to the final sound"),
    this.finished,
    h("p", { class: "note" }, "Without it, only the top level is made: a quick draft. Upsample the samples that you like."),
  );
  private offer: Offer | null = null;
  private fields: Fields | null = null;
  private waiting = 0;
  private turn = 0; // of estimates; answers to earlier ones are ignored

  constructor(
    title: string,
    private readonly models: string[],
    private readonly ordered: (job: Job) => void,
    before: HTMLElement | null = null,
  ) {
    const heading = h("h2", {}, title);
    const close = h("button", { type: "button", class: "button", onclick: () => this.element.close() }, "Cancel");
    this.finished.addEventListener("change", () => this.changed());
    const form = h(
      "form",
      {
        class: "dialog-body",
        onsubmit: (event: Event) => {
          event.preventDefault();
          void this.order();
        },
      },
      heading,
      before,
      this.body,
      this.problem,
      h("div", { class: "order" }, this.estimate, close, this.button),
    );
    this.element = h("dialog", { class: "dialog making", "aria-label": title, onclose: () => this.element.remove() }, form);
  }

  /** Offer a command, or nothing yet. */
  show(offer: Offer | null): void {
    this.offer = offer;
    this.fields = offer === null ? null : new Fields(offer.form, offer.given, [...offer.hidden, ...(this.hasDepth(offer) ? ["levels"] : [])], offer.model ?? "mini", this.models, () => this.changed());
    const depth = offer !== null && this.hasDepth(offer) ? this.depth : "";
    this.body.replaceChildren(...(this.fields === null || offer === null ? [] : [h("p", { class: "note" }, offer.form.help.replace(/\. .*/, ".")), depth, this.fields.element]));
    this.changed();
  }

  /** Change some given values, and keep the form. */
  give(values: Values): void {
    Object.assign(this.offer?.given ?? {}, values);
    this.changed();
  }

  open(): void {
    document.body.append(this.element);
    this.element.showModal();
  }

  private hasDepth(offer: Offer): boolean {
    return offer.form.options.some((option) => option.name === "levels");
  }

  private get values(): Values | null {
    const { offer, fields } = this;
    if (offer === null || fields === null) return null;
    const has = (name: string) => offer.form.options.some((option) => option.name === name);
    return {
      command: offer.form.name,
      ...(has("preview") ? { preview: "top,middle,bottom" } : {}), // so that it is heard window by window
      ...(this.hasDepth(offer) && !this.finished.checked ? { levels: "top" } : {}),
      ...fields.values,
    };
  }

  private changed(): void {
    clearTimeout(this.waiting);
    this.turn++;
    this.problem.hidden = true;
    this.estimate.textContent = "";
    this.button.disabled = this.offer === null;
    const drafts = this.offer !== null && this.hasDepth(this.offer) && !this.finished.checked;
    this.button.textContent = drafts ? "Make a draft" : this.offer?.form.has_estimate === false ? "Do it" : "Make it";
    if (this.offer?.form.has_estimate) this.waiting = window.setTimeout(() => void this.guess(), PAUSE);
  }

  private async guess(): Promise<void> {
    const { values, turn } = this;
    if (values === null) return;
    this.estimate.textContent = "Estimating …";
    try {
      const { seconds, memory_bytes: memory } = await api.estimate(values);
      if (turn !== this.turn) return;
      const parts = [typeof seconds === "number" ? `about ${long(seconds)}` : "", typeof memory === "number" ? `${bytes(memory)} of memory` : ""];
      this.estimate.textContent = parts.filter(Boolean).join(", ");
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      if (turn === this.turn) this.estimate.textContent = error.message;
    }
  }

  private async order(): Promise<void> {
    const { values } = this;
    if (values === null) return;
    this.button.disabled = true;
    try {
      const job = await api.add(values);
      this.element.close();
      this.ordered(job);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    } finally {
      this.button.disabled = false;
    }
  }
}
