// Text with a button that copies it.

import { h } from "./dom";

/** Make a text with a button that copies it; `pieces` are the same text with markup. */
export function copyable(text: string, name: string, pieces: (HTMLElement | string)[] = [text]): HTMLElement {
  const said = h("span", { role: "status", class: "unseen" });
  const button: HTMLButtonElement = h("button", { type: "button", class: "copy", "aria-label": `Copy the ${name}` }, "Copy");
  button.addEventListener("click", () => {
    void copy(text).then((done) => {
      button.textContent = done ? "Copied" : "Select and copy it";
      said.textContent = done ? `The ${name} is copied` : "This browser does not allow copying";
      setTimeout(() => {
        button.textContent = "Copy";
        said.textContent = "";
      }, 2000);
    });
  });
  const pre = h("pre", { tabindex: 0, "aria-label": `The ${name}`, role: "region" }, h("code", {}, ...pieces));
  return h("div", { class: `copyable ${name}` }, pre, button, said);
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
