// Paths through a tree of continuations.

import type { TreeNode } from "./contract";

/** Return the nodes from the root to the one that a path names; empty for an unknown one. */
export function along(nodes: TreeNode[], path: string): TreeNode[] {
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  const found: TreeNode[] = [];
  for (let node = byPath.get(path); node !== undefined && !found.includes(node); ) {
    found.unshift(node);
    node = node.parent === null ? undefined : byPath.get(node.parent);
  }
  return found;
}

/** Return the initial path: the first branches, as far as they can be played. */
export function firstPath(nodes: TreeNode[]): string {
  let path = nodes.find((node) => node.parent === null)?.path ?? "";
  for (;;) {
    const next = nodes.find((node) => node.parent === path && node.path !== path && audible(node));
    if (next === undefined) return path;
    path = next.path;
  }
}

export const audible = (node: TreeNode): boolean => Object.keys(node.levels).length > 0;
