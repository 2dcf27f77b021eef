"""Cycles in a graph of imports."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Graph:
    """Nodes and edges; each edge knows one line of code that makes it."""

    edges: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, source: str, target: str, where: str) -> None:
        """Adds an edge unless it is there; a node does not depend on itself."""
        if source != target:
            self.edges.setdefault(source, {}).setdefault(target, where)

    def cycles(self) -> list[str]:
        """One text for each group of nodes that reach each other, with the edges within it."""
        return [
            f"these {len(group)} import each other: {', '.join(sorted(group))}\n"
            + "\n".join(
                f"  {where}: {source} -> {target}"
                for source in sorted(group)
                for target, where in sorted(self.edges.get(source, {}).items())
                if target in group
            )
            for group in self._groups()
        ]

    def _groups(self) -> list[set[str]]:
        """Strongly connected components of more than one node (Kosaraju)."""
        order: list[str] = []
        seen: set[str] = set()
        for root in self.edges:
            _visit(root, self.edges, seen, order)
        backward: dict[str, dict[str, str]] = {}
        for source, targets in self.edges.items():
            for target, where in targets.items():
                backward.setdefault(target, {})[source] = where
        groups: list[set[str]] = []
        seen = set()
        for root in reversed(order):
            group: list[str] = []
            _visit(root, backward, seen, group)
            if len(group) > 1:
                groups.append(set(group))
        return groups


def _visit(
    root: str, edges: dict[str, dict[str, str]], seen: set[str], finished: list[str]
) -> None:
    """Appends what `root` reaches and nobody has seen, each node after those that it reaches."""
    if root in seen:
        return
    seen.add(root)
    stack = [(root, iter(edges.get(root, {})))]
    while stack:
        node, targets = stack[-1]
        target = next((target for target in targets if target not in seen), None)
        if target is None:
            stack.pop()
            finished.append(node)
        else:
            seen.add(target)
            stack.append((target, iter(edges.get(target, {}))))
