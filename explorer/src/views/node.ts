// A node of a tree in words: its length, levels and state, and the commands that go on from it.

import { audible } from "../site/branches";
import { LEVELS, type TreeNode } from "../site/contract";
import { words } from "../parts/command";
import { copyable } from "../parts/copying";
import { h } from "../parts/dom";
import { capital, length } from "../parts/text";

/** Return the lowest level of a node that can be played, in a word: a node with the top level alone is a draft. */
export function levelsOf(node: TreeNode): string {
  return [...LEVELS].reverse().find((level) => node.levels[level] !== undefined) ?? "";
}

export function stateOf(node: TreeNode): string {
  if (!audible(node)) return node.state === "whole" ? "no audio" : "not made yet";
  if (node.state !== "whole") return "in progress";
  return node.levels.bottom === undefined ? `draft, ${levelsOf(node)} level only` : "finished";
}

export class NodeCard {
  readonly element = h("div", { class: "node-card" });

  show(node: TreeNode): void {
    const name = node.path === "" ? "Root" : `Branch ${node.path}`;
    const levels = LEVELS.filter((level) => node.levels[level] !== undefined);
    const facts: [string, string][] = [
      ["Length", `${length(node.stop - node.start)}, from ${length(node.start)} to ${length(node.stop)}`],
      [levels.length === 1 ? "Level" : "Levels", levels.length === 0 ? "None" : capital(levels.join(", "))],
      ["State", capital(stateOf(node))],
    ];
    const { pick, branch } = node.commands ?? {};
    this.element.replaceChildren(
      h("h3", {}, name),
      h("dl", { class: "facts" }, ...facts.map(([what, value]) => h("div", {}, h("dt", {}, what), h("dd", {}, value)))),
      ...(pick && audible(node) ? [h("p", { class: "note" }, "Extract the path to it as a song:"), copyable(pick, "pick command", words(pick))] : []),
      ...(branch && audible(node)
        ? [h("p", { class: "note" }, pick ? "Then continue that song, also in another style:" : "Continue from it, also in another style:"), copyable(branch, "branch command", words(branch))]
        : []),
    );
  }
}
