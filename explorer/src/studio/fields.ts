// A form made of a command's options: those that are used most in sight, the others folded away by panel.

import { h } from "../parts/dom";
import { capital } from "../parts/text";
import { DataError } from "../site/data";
import { api, type CommandForm, type ModelFacts, type OptionForm, type Values } from "./api";

const IN_SIGHT = ["artist", "genre", "seconds", "samples", "seed", "temperature", "guidance", "lyrics", "midi"];
const NEEDS: Record<string, "lyrics" | "midi" | "beats"> = { lyrics: "lyrics", midi: "midi", "midi-at": "midi", tempo: "beats", meter: "beats", "no-beat": "beats" }; // abilities of a model
const FOLDED = ["out", "model", "device", "force"]; // of commands whose options have no panels
const LONG = ["lyrics", "schedule", "midi"]; // fields of a whole line

/** A field: its element, and its value, undefined for the command's default. */
interface Field {
  element: HTMLElement;
  value: () => unknown;
}

export class Fields {
  readonly element = h("div", { class: "fields" });
  private readonly fields = new Map<string, Field>();
  private readonly artists = h("datalist", { id: "artists" });
  private readonly genres = h("datalist", { id: "genres" });

  /** `given` values are chosen already: those of options in `hidden` have no field. */
  constructor(
    form: CommandForm,
    private readonly given: Values,
    hidden: string[],
    private readonly model: string, // unless another one is chosen
    private readonly models: string[],
    private readonly changed: () => void,
  ) {
    const shown = form.options.filter((option) => !hidden.includes(option.name));
    for (const option of shown) this.fields.set(option.name, this.field(option));
    const usual = IN_SIGHT.flatMap((name) => shown.find((option) => option.name === name) ?? []);
    const first = [...shown.filter(({ name, panel }) => panel === "Options" && !IN_SIGHT.includes(name) && !FOLDED.includes(name)), ...usual];
    const others = shown.filter((option) => !first.includes(option));
    const panels = [...new Set(others.map((option) => option.panel))];
    const grid = (options: OptionForm[]) => h("div", { class: "field-grid" }, ...options.map((option) => this.fields.get(option.name)?.element));
    const folded = panels.map((panel) => h("fieldset", {}, h("legend", {}, panel), grid(others.filter((option) => option.panel === panel))));
    const more = folded.length === 0 ? [] : [h("details", { class: "more" }, h("summary", {}, "More options"), ...folded)];
    this.element.append(grid(first), ...more, this.artists, this.genres);
    this.element.addEventListener("input", () => this.changed());
    this.suggest(model);
  }

  /** Values of the fields that differ from the defaults, and given values that have no field. */
  get values(): Values {
    const own = [...this.fields].map(([name, field]) => [name, field.value()] as const).filter(([, value]) => value !== undefined);
    const given = Object.entries(this.given).filter(([name]) => !this.fields.has(name));
    return Object.fromEntries([...given, ...own]);
  }

  /** Offer the artists and genres of a model. Names that are not offered may be typed, such as mixtures. */
  private suggest(model: string): void {
    const fill = (facts: ModelFacts) => {
      const options = (names: string[] | undefined) => (names ?? []).filter((name) => name !== "unlabelled").map((name) => h("option", { value: name }));
      this.artists.replaceChildren(...options(facts.artists));
      this.genres.replaceChildren(...options(facts.genres));
      for (const [name, ability] of Object.entries(NEEDS)) {
        const field = this.fields.get(name);
        if (field !== undefined) field.element.hidden = facts[ability] === false;
      }
    };
    if (this.models.includes(model)) api.model(model).then(fill, () => undefined);
  }

  private field(option: OptionForm): Field {
    const { control, value } = this.control(option);
    const id = `field-${option.name}`;
    control.id = id;
    control.setAttribute("aria-describedby", `${id}-help`);
    const isNew = option.kind === "new";
    const label = h("label", { for: id }, isNew ? "Name" : capital(option.name.replaceAll("-", " ")));
    const help = h("p", { class: "note", id: `${id}-help` }, isNew ? "Name of the new song's folder." : option.help);
    const classes = ["field", control.getAttribute("type") === "checkbox" ? "check" : "", LONG.includes(option.name) ? "long" : ""];
    return { element: h("div", { class: classes.join(" ").trim() }, label, control, help), value };
  }

  private control(option: OptionForm): { control: HTMLElement; value: () => unknown } {
    const given = this.given[option.name];
    const before = given ?? option.default;
    if (option.kind === "flag") {
      const box = h("input", { type: "checkbox", checked: before === true });
      return { control: box, value: () => (box.checked === (option.default === true) ? undefined : box.checked) };
    }
    if (option.choices.length > 0) return this.menu(option, option.choices, given);
    if (option.kind === "model") return this.menu(option, this.models, given);
    if (option.kind === "midi" || option.kind === "audio") return this.file();
    const hint = (option.kind === "new" ? "chosen for you" : option.shown) || (option.default === null || option.default === "" ? option.value.toLowerCase() : String(option.default));
    if (option.kind === "words") {
      const area = h("textarea", { rows: 3, dir: "auto", placeholder: hint });
      return { control: area, value: () => (area.value.trim() === "" ? undefined : area.value) };
    }
    const isNumber = option.kind === "number" || option.kind === "integer";
    const list = option.name === "artist" ? "artists" : option.name === "genre" ? "genres" : null;
    const input = h("input", {
      type: isNumber ? "number" : "text",
      step: option.kind === "number" ? "any" : isNumber ? 1 : null,
      list,
      required: option.required,
      placeholder: hint,
      autocomplete: "off",
      value: given === undefined ? null : String(given),
    });
    const value = () => {
      const text = input.value.trim();
      if (text === "") return undefined;
      if (isNumber) return Number(text);
      return option.kind === "texts" ? text.split(",").map((one) => one.trim()).filter(Boolean) : text;
    };
    return { control: input, value };
  }

  private menu(option: OptionForm, names: readonly string[], given: unknown): { control: HTMLElement; value: () => unknown } {
    const unset = h("option", { value: "" }, `Default: ${option.shown || String(option.default ?? "")}`);
    const menu = h("select", {}, unset, ...names.map((name) => h("option", { value: name, selected: name === given }, name)));
    menu.addEventListener("change", () => {
      if (option.kind === "model") this.suggest(menu.value || this.model);
      this.changed();
    });
    return { control: menu, value: () => menu.value || undefined };
  }

  private file(): { control: HTMLElement; value: () => unknown } {
    let id: string | undefined;
    const picker = h("input", { type: "file", accept: ".mid,.midi,audio/*" });
    picker.addEventListener("change", () => {
      const file = picker.files?.[0];
      id = undefined;
      picker.setCustomValidity("");
      if (file === undefined) return;
      api.upload(file.name, file).then(
        (sent) => {
          id = sent.id;
          this.changed();
        },
        (error: unknown) => {
          picker.setCustomValidity(error instanceof DataError ? error.message : String(error));
          picker.reportValidity();
        },
      );
    });
    return { control: picker, value: () => id };
  }
}
