// Text with a button that copies it.

import { h } from "./dom";

/** Make a text with a button that copies it; `pieces` are the same text with markup. */
export function copyable(text: string, name: string, pieces: (HTMLElement | string)[] = [text]): HTMLElement {
  const pre = h("pre", { tabindex: 0, "aria-label": `The ${name}`, role: "region" }, h("code", {}, ...pieces));
  const button = copyButton(text, "Copy", name);
  button.firstElementChild?.classList.replace("button", "copy");
  return h("div", { class: `copyable ${name}` }, pre, ...button.childNodes);
}

/** Make a button that copies a text, the `name` of which is announced when it is copied. */
export function copyButton(text: string, label: string, name: string, ...icons: Node[]): HTMLElement {
  const said = h("span", { role: "status", class: "unseen" });
  const shown = document.createTextNode(label);
  const button: HTMLButtonElement = h("button", { type: "button", class: "button", "aria-label": label === "Copy" ? `Copy the ${name}` : null }, ...icons, shown);
  button.addEventListener("click", () => {
    void copy(text).then((done) => {
      shown.textContent = done ? "Copied" : "Select and copy it";
      said.textContent = done ? `The ${name} is copied` : "This browser does not allow copying";
      setTimeout(() => {
        shown.textContent = label;
        said.textContent = "";
      }, 2000);
    });
  });
  return h("span", {}, button, said);
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { class: "unseen", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy"); // pages opened from disk may have no clipboard API
    field.remove();
    return done;
  }
}
