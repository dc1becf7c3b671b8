// A tree of continuations along time: shared nodes are on the left, and each leaf has a row.

import { along, audible } from "../site/branches";
import type { TreeNode } from "../site/contract";
import { h, svg } from "../parts/dom";
import { length } from "../parts/text";
import { levelsOf, NodeCard, stateOf } from "./node";

const ROW = 54; // pixels
const HEIGHT = 44; // of a node
const GAP = 2.6; // percent of the width between a node and its branches
const NARROWEST = 70; // pixels of a node, on average; a tree that does not fit scrolls

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
  private readonly card = new NodeCard();
  private readonly scroller = h("div", { class: "tree-scroll" });
  private focused = 0;

  constructor(
    private readonly nodes: TreeNode[],
    private readonly choose: (path: string) => void,
    private readonly play: (node: TreeNode) => void,
  ) {
    const rows = this.lay(null, 0, 0);
    const across = scale(nodes);
    this.board = h("div", { class: "tree", role: "tree", "aria-label": "Branches of this tree" });
    this.board.style.height = `${Math.max(rows, 1) * ROW}px`;
    this.board.style.minWidth = `${(Math.max(...this.drawn.map((one) => one.depth), 0) + 1) * NARROWEST}px`;
    const drawing = svg("svg", { class: "twigs", viewBox: `0 0 100 ${rows * ROW}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.board.append(drawing);
    const middle = (row: number) => (row + 0.5) * ROW;
    for (const { node, row, element } of this.drawn) {
      const [left, right] = [across(node.start), across(node.stop)];
      element.style.left = `${left}%`;
      element.style.width = `${Math.max(right - left - (right < 99.9 ? GAP : 0), 1)}%`;
      element.style.top = `${middle(row) - HEIGHT / 2}px`;
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
    this.scroller.append(this.board);
    this.element = h(
      "section",
      { class: "panel" },
      h("h2", {}, "Tree"),
      this.scroller,
      h("p", { class: "note" }, "Choose a node to play the path from the root to it; the position is kept."),
      this.card.element,
    );
  }

  show(path: string): void {
    const chosen = new Set(along(this.nodes, path).map((node) => node.path));
    const open = this.nodes.find((node) => node.path === path);
    if (open !== undefined) this.card.show(open);
    this.drawn.forEach(({ node, element }, place) => {
      const here = node.path === path;
      element.classList.toggle("on", chosen.has(node.path));
      element.classList.toggle("here", here);
      element.setAttribute("aria-selected", String(here));
      element.tabIndex = here ? 0 : -1;
      if (here) {
        this.focused = place;
        this.reveal(element);
      }
      const line = this.lines.get(node.path);
      line?.classList.toggle("on", chosen.has(node.path));
      if (chosen.has(node.path)) line?.parentNode?.append(line); // above the others
    });
  }

  /** Keep a node visible by scrolling the tree only, not the page. */
  private reveal(element: HTMLElement): void {
    const [box, node] = [this.scroller.getBoundingClientRect(), element.getBoundingClientRect()];
    const [right, down] = [beyond(node.left, node.right, box.left, box.right), beyond(node.top, node.bottom, box.top, box.bottom)];
    if (right !== 0 || down !== 0) this.scroller.scrollBy(right, down);
  }

  /** Add rows from `row` on for the branches of `parent`; return the first free row. */
  private lay(parent: string | null, row: number, depth: number): number {
    for (const node of this.nodes) {
      if (node.parent !== parent || (parent !== null && node.path === parent)) continue;
      const place = this.drawn.length;
      const name = node.path === "" ? "Root" : node.path;
      const facts = [length(node.stop - node.start), audible(node) ? levelsOf(node) : stateOf(node)].join(" · ");
      const times = `from ${length(node.start)} to ${length(node.stop)}`;
      const element = h(
        "div",
        {
          class: audible(node) ? "node" : "node silent",
          role: "treeitem",
          tabindex: -1,
          "aria-level": depth + 1,
          "aria-label": `${name} ${facts}, ${times}`,
          title: `${name} ${facts}, ${times}`,
          onclick: () => {
            this.choose(node.path);
            element.focus({ preventScroll: true });
          },
          ondblclick: () => this.play(node),
        },
        h("span", { class: "node-name" }, h("bdi", { dir: "ltr" }, name)),
        " ",
        h("span", { class: "node-facts" }, facts),
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

/** Return positions of times across the tree, in percent: half in proportion to time, half equal for every step. */
function scale(nodes: TreeNode[]): (time: number) => number {
  const total = Math.max(...nodes.map((node) => node.stop), 0.01);
  const starts = [...new Set(nodes.map((node) => node.start).filter((start) => start > 0 && start < total))];
  const edges = [0, ...starts.sort((one, other) => one - other), total];
  const steps = edges.length - 1;
  return (time) => {
    const step = Math.max(edges.findLastIndex((edge) => edge <= time), 0);
    if (step >= steps) return 100;
    const [from, to] = [edges[step] as number, edges[step + 1] as number];
    const passed = (step + Math.max(time - from, 0) / (to - from)) / steps;
    return 50 * (Math.max(time, 0) / total) + 50 * passed;
  };
}

/** Return how far to move a span so that it lies in another with some margin; 0 if it does. */
function beyond(first: number, last: number, from: number, to: number): number {
  const room = 8; // pixels
  if (first < from + room) return first - from - room;
  return last > to - room ? Math.min(last - to + room, first - from - room) : 0;
}
