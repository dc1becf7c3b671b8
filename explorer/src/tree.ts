// A tree of continuations, drawn along time: what branches share stands to the left, and each end is a row.

import type { TreeNode } from "./contract";
import { h, svg } from "./dom";
import { clock } from "./text";

/** The nodes from the root to the one that a path names; none where there is no such node. */
export function along(nodes: TreeNode[], path: string): TreeNode[] {
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  const found: TreeNode[] = [];
  for (let node = byPath.get(path); node !== undefined && !found.includes(node); ) {
    found.unshift(node);
    node = node.parent === null ? undefined : byPath.get(node.parent);
  }
  return found;
}

/** The path to begin with: the first branch, as far as it can be heard. */
export function firstPath(nodes: TreeNode[]): string {
  let path = nodes.find((node) => node.parent === null)?.path ?? "";
  for (;;) {
    const next = nodes.find((node) => node.parent === path && node.path !== path && Object.keys(node.levels).length > 0);
    if (next === undefined) return path;
    path = next.path;
  }
}

export const audible = (node: TreeNode): boolean => Object.keys(node.levels).length > 0;

const ROW = 38; // pixels
const GAP = 2.2; // percent of the width between a node and its branches

interface Drawn {
  node: TreeNode;
  row: number;
  depth: number;
  element: HTMLElement;
}

export class TreeView {
  readonly element: HTMLElement;
  private readonly drawn: Drawn[] = [];
  private readonly lines = new Map<string, SVGPathElement>();
  private readonly board: HTMLElement;
  private focused = 0;

  constructor(
    private readonly nodes: TreeNode[],
    private readonly choose: (path: string) => void,
    private readonly play: (node: TreeNode) => void,
  ) {
    const rows = this.lay(null, 0, 0);
    const total = Math.max(...nodes.map((node) => node.stop), 0.01);
    this.board = h("div", { class: "tree", role: "tree", "aria-label": "Branches of this tree" });
    this.board.style.height = `${Math.max(rows, 1) * ROW}px`;
    const drawing = svg("svg", { class: "twigs", viewBox: `0 0 100 ${rows * ROW}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.board.append(drawing);
    const middle = (row: number) => (row + 0.5) * ROW;
    for (const { node, row, element } of this.drawn) {
      const left = (node.start / total) * 100;
      element.style.left = `${left}%`;
      element.style.width = `${Math.max((node.stop / total) * 100 - left - (node.stop < total ? GAP : 0), 1)}%`;
      element.style.top = `${middle(row) - 14}px`;
      const parent = this.drawn.find((one) => one.node.path === node.parent && one.node !== node);
      if (parent === undefined) continue;
      const from = left - GAP;
      const [a, b, half] = [middle(parent.row), middle(row), from + GAP / 2];
      const line = svg("path", { d: `M${from} ${a}C${half} ${a} ${half} ${b} ${left} ${b}`, "vector-effect": "non-scaling-stroke" });
      this.lines.set(node.path, line);
      drawing.append(line);
    }
    this.board.append(...[...this.drawn].sort((one, other) => one.node.path.localeCompare(other.node.path, "en", { numeric: true })).map((one) => one.element));
    this.board.addEventListener("keydown", (event) => this.press(event));
    this.element = h(
      "section",
      { class: "panel" },
      h("h2", {}, "Tree"),
      h("div", { class: "tree-scroll" }, this.board),
      h("p", { class: "note" }, "Choose a node to hear the path from the root to it, one timeline; the moment stays."),
    );
  }

  show(path: string): void {
    const chosen = new Set(along(this.nodes, path).map((node) => node.path));
    this.drawn.forEach(({ node, element }, place) => {
      const here = node.path === path;
      element.classList.toggle("on", chosen.has(node.path));
      element.classList.toggle("here", here);
      element.setAttribute("aria-selected", String(here));
      element.tabIndex = here ? 0 : -1;
      if (here) this.focused = place;
      const line = this.lines.get(node.path);
      line?.classList.toggle("on", chosen.has(node.path));
      if (chosen.has(node.path)) line?.parentNode?.append(line); // above the others
    });
  }

  /** Rows from `row` on for the branches of `parent`; returns the first free one. */
  private lay(parent: string | null, row: number, depth: number): number {
    for (const node of this.nodes) {
      if (node.parent !== parent || (parent !== null && node.path === parent)) continue;
      const place = this.drawn.length;
      const name = node.path === "" ? "Root" : node.path;
      const state = audible(node) ? "" : node.state || "not made yet";
      const element = h(
        "div",
        {
          class: audible(node) ? "node" : "node silent",
          role: "treeitem",
          tabindex: -1,
          "aria-level": depth + 1,
          "aria-label": `${name}, ${clock(node.start)} to ${clock(node.stop)}${state && `, ${state}`}`,
          title: `${name} · ${clock(node.start)}–${clock(node.stop)}${state && ` · ${state}`}`,
          onclick: () => {
            this.choose(node.path);
            element.focus({ preventScroll: true });
          },
          ondblclick: () => this.play(node),
        },
        h("span", {}, name),
      );
      const drawn: Drawn = { node, row, depth, element };
      this.drawn.push(drawn);
      const next = this.lay(node.path, row, depth + 1);
      const branches = this.drawn.slice(place + 1).filter((one) => one.node.parent === node.path);
      const [first, last] = [branches[0], branches.at(-1)];
      if (first !== undefined && last !== undefined) drawn.row = (first.row + last.row) / 2;
      row = Math.max(next, row + 1);
    }
    return row;
  }

  private press(event: KeyboardEvent): void {
    const here = this.drawn[this.focused];
    if (here === undefined) return;
    const { node } = here;
    const siblings = this.drawn.filter((one) => one.depth === here.depth).sort((one, other) => one.row - other.row);
    const beside = (step: number) => siblings[siblings.indexOf(here) + step];
    const to: Record<string, () => Drawn | undefined> = {
      ArrowLeft: () => this.drawn.find((one) => one.node.path === node.parent && one !== here),
      ArrowRight: () => this.drawn.find((one) => one.node.parent === node.path && one !== here),
      ArrowUp: () => beside(-1),
      ArrowDown: () => beside(1),
      Home: () => this.drawn[0],
    };
    const move = to[event.key];
    if (move !== undefined) {
      const next = move();
      if (next !== undefined) {
        this.choose(next.node.path);
        next.element.focus();
      }
    } else if (event.key === "Enter") this.play(node);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
