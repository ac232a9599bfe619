# SPDX-License-Identifier: Apache-2.0
"""Sets of globs as one minimal deterministic automaton over bytes.

Each glob carries a value (a mask of bits); the automaton gives the union of the values of all globs that match a path,
by one table look-up for each byte of it, whatever the number of globs.

The way: globs share their beginnings in a tree of nodes, the tree becomes a deterministic automaton by the subset
construction, equal states are merged, bytes that no state tells apart become one column.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from varmor.errors import VarmorError
from varmor.profile.glob import ANY, NO_SLASH, SLASH, Piece, alternatives, pieces

DEAD = 0
START = 1


class TooManyStatesError(VarmorError):
    """The globs need more states than allowed. ``states`` is the limit that was passed."""

    def __init__(self, states: int) -> None:
        self.states = states
        super().__init__(f"the path rules need an automaton of more than {states} states")


@dataclass(frozen=True, slots=True)
class Automaton:
    """States in rows. State 0 is dead, state 1 is the start.

    ``columns[byte]`` is the column of a byte, ``rows[state * width + column]`` the next state, ``accepts[state]`` the
    union of the values of the globs that match what was read. Column 0 is never used by a byte.
    """

    columns: bytes
    width: int
    rows: array[int]
    accepts: tuple[int, ...]

    @property
    def states(self) -> int:
        """Number of states, the dead one included."""
        return len(self.accepts)

    def run(self, text: bytes) -> int:
        """The state after reading ``text``."""
        state = START
        for byte in text:
            state = self.rows[state * self.width + self.columns[byte]]
            if state == DEAD:
                break
        return state

    def value(self, text: bytes) -> int:
        """The union of the values of the globs that match ``text``."""
        return self.accepts[self.run(text)]

    def below(self, mask: int) -> tuple[int, ...]:
        """For each state the union of ``accepts & mask`` over it and all states that can follow it."""
        found = [accept & mask for accept in self.accepts]
        before: list[list[int]] = [[] for _ in self.accepts]
        for state in range(1, self.states):
            for following in set(self.rows[state * self.width + 1 : (state + 1) * self.width]):
                before[following].append(state)
        waiting = [state for state, bits in enumerate(found) if bits and state != DEAD]
        while waiting:
            state = waiting.pop()
            for earlier in before[state]:
                if found[state] & ~found[earlier]:
                    found[earlier] |= found[state]
                    waiting.append(earlier)
        return tuple(found)


class _Node:
    """A place in the tree of globs. ``loop``: the bytes that stay here (after ``*`` or ``**``)."""

    __slots__ = ("edges", "loop", "stars", "value")

    def __init__(self, loop: frozenset[int] | None = None) -> None:
        self.loop = loop
        self.edges: dict[frozenset[int], int] = {}
        self.stars: dict[frozenset[int], int] = {}
        self.value = 0


@dataclass(frozen=True, slots=True)
class _Settled:
    """What cannot change any more, whatever is read: below ``/etc/**`` the value of that glob stays.

    ``final`` names the nodes that are never left, each with one that stands for all of its value. Without this, globs
    such as ``/**/.ssh/**`` would need a state for each set of them that a path has already met.
    """

    values: list[int]
    reachable: list[int]
    final: dict[int, int]

    def reduce(self, subset: frozenset[int]) -> frozenset[int]:
        """The subset without the nodes that can add nothing to the values that it has for good."""
        finals = {self.final[node] for node in subset if node in self.final}
        if not finals:
            return subset
        settled = 0
        for node in sorted(finals, key=lambda node: (-self.values[node].bit_count(), node)):
            if self.values[node] & ~settled:
                settled |= self.values[node]
            else:
                finals.discard(node)
        return frozenset(
            finals | {node for node in subset if node not in self.final and self.reachable[node] & ~settled}
        )


class _Tree:
    """The globs of an automaton, beginnings shared."""

    def __init__(self, globs: Iterable[tuple[str, int]]) -> None:
        self.nodes = [_Node()]
        self.sets: set[frozenset[int]] = set()
        for pattern, value in globs:
            for option in alternatives(pattern):
                self.nodes[self._insert(pieces(option))].value |= value
        self._share_endings()

    def _insert(self, sequence: Sequence[Piece]) -> int:
        at = 0
        for piece in sequence:
            node = self.nodes[at]
            ways = node.stars if piece.repeats else node.edges
            following = ways.get(piece.bytes_)
            if following is None:
                following = ways[piece.bytes_] = len(self.nodes)
                self.nodes.append(_Node(piece.bytes_ if piece.repeats else None))
                if not piece.repeats:
                    self.sets.add(piece.bytes_)
            at = following
        return at

    def _share_endings(self) -> None:
        """Nodes that go on in the same way become one: ``{gcc,clang}{,-[0-9]*}`` needs the ending once."""
        same: dict[object, int] = {}
        kept: dict[int, int] = {}
        for index in range(len(self.nodes) - 1, -1, -1):  # a node's followers have higher indexes than itself
            node = self.nodes[index]
            for ways in (node.edges, node.stars):
                ways.update({members: kept[following] for members, following in ways.items()})
            key = (node.loop, node.value, frozenset(node.edges.items()), frozenset(node.stars.items()))
            kept[index] = same.setdefault(key, index)

    def closures(self) -> list[tuple[int, ...]]:
        """For each node those that are reached without reading a byte (an empty run of a star)."""
        out: list[tuple[int, ...]] = []
        for index in range(len(self.nodes)):
            seen = {index}
            waiting = [index]
            while waiting:
                for following in self.nodes[waiting.pop()].stars.values():
                    if following not in seen:
                        seen.add(following)
                        waiting.append(following)
            out.append(tuple(seen))
        return out

    def settled(self) -> _Settled:
        """What is known of each node's future."""
        reachable = [node.value for node in self.nodes]
        representatives: dict[int, int] = {}
        final: dict[int, int] = {}
        for index in range(len(self.nodes) - 1, 0, -1):  # a node's followers have higher indexes than itself
            node = self.nodes[index]
            followers = (*node.edges.values(), *node.stars.values())
            for following in followers:
                reachable[index] |= reachable[following]
            if node.loop == ANY and not followers:
                final[index] = representatives.setdefault(node.value, index)
        return _Settled([node.value for node in self.nodes], reachable, final)

    def columns(self) -> tuple[bytes, int]:
        """Bytes that no glob tells apart share a column, from 1 on: the column of each byte, and the row's width."""
        wide = [members for members in self.sets if len(members) > 1]
        single = {next(iter(members)) for members in self.sets if len(members) == 1} | {SLASH}
        numbers: dict[tuple[int, tuple[bool, ...]], int] = {}
        columns = bytearray(256)
        for byte in range(1, 256):
            key = (byte if byte in single else -1, tuple(byte in members for members in wide))
            columns[byte] = numbers.setdefault(key, len(numbers) + 1)
        return bytes(columns), len(numbers) + 1


def build(globs: Iterable[tuple[str, int]], max_states: int) -> Automaton:
    """The minimal automaton of pairs of glob and value.

    Raises:
        GlobError: a glob cannot be read.
        TooManyStatesError: the construction passes ``max_states``.
    """
    tree = _Tree(globs)
    columns, width = tree.columns()
    rows, accepts = _determinise(tree, columns, width, max_states)
    rows, accepts = _minimise(rows, accepts, width)
    return _merge_columns(columns, rows, accepts, width)


def _determinise(tree: _Tree, columns: bytes, width: int, max_states: int) -> tuple[list[list[int]], list[int]]:
    nodes, closures = tree.nodes, tree.closures()
    column_sets = {members: frozenset(columns[byte] for byte in members) for members in tree.sets}
    edges = [[(column_sets[members], following) for members, following in node.edges.items()] for node in nodes]
    slash = columns[SLASH]
    empty: frozenset[int] = frozenset()
    start = frozenset(closures[0])
    settled = tree.settled()
    numbers: dict[frozenset[int], int] = {empty: DEAD, start: START}
    subsets = [empty, start]
    rows: list[list[int]] = [[DEAD] * width]

    def number(subset: frozenset[int]) -> int:
        subset = settled.reduce(subset)
        found = numbers.get(subset)
        if found is None:
            if len(subsets) >= max_states:
                raise TooManyStatesError(max_states)
            found = numbers[subset] = len(subsets)
            subsets.append(subset)
        return found

    at = START
    while at < len(subsets):
        subset = subsets[at]
        at += 1
        stay_any = frozenset(x for node in subset if nodes[node].loop == ANY for x in closures[node])
        stay_name = stay_any | {x for node in subset if nodes[node].loop == NO_SLASH for x in closures[node]}
        moves: dict[int, set[int]] = {}
        for node in subset:
            for reached, following in edges[node]:
                for column in reached:
                    moves.setdefault(column, set()).update(closures[following])
        row = [number(stay_name)] * width
        row[0] = DEAD
        row[slash] = number(stay_any)
        for column, target in moves.items():
            row[column] = number(frozenset(target | (stay_any if column == slash else stay_name)))
        rows.append(row)
    accepts = []
    for subset in subsets:
        value = 0
        for node in subset:
            value |= nodes[node].value
        accepts.append(value)
    return rows, accepts


def _minimise(rows: list[list[int]], accepts: list[int], width: int) -> tuple[list[list[int]], list[int]]:
    """Merge states with the same language."""
    block = _equivalence(rows, accepts)
    order = {block[DEAD]: DEAD}
    if block[START] not in order:
        order[block[START]] = START
    for number in block:
        order.setdefault(number, len(order))
    merged_rows: list[list[int]] = [[] for _ in order]
    merged_accepts = [0] * len(order)
    for state, row in enumerate(rows):
        target = order[block[state]]
        if not merged_rows[target]:
            merged_rows[target] = [order[block[following]] for following in row]
            merged_accepts[target] = accepts[state]
    if len(merged_rows) == 1:  # nothing can match: the start is the dead state, but it has a row of its own
        merged_rows.append([DEAD] * width)
        merged_accepts.append(0)
    return merged_rows, merged_accepts


def _equivalence(rows: list[list[int]], accepts: list[int]) -> list[int]:
    """The number of each state's class of equivalence.

    Partition refinement by signatures (the classes of all following states). A state is looked at again only when the
    class of a follower changed, and the largest part of a split class keeps its number, so that each state changes at
    most log(n) times.
    """
    numbers: dict[int, int] = {}
    block = [numbers.setdefault(value, len(numbers)) for value in accepts]
    members: list[set[int]] = [set() for _ in numbers]
    before: list[list[int]] = [[] for _ in rows]
    for state, row in enumerate(rows):
        members[block[state]].add(state)
        for following in set(row):
            before[following].append(state)
    dirty = set(range(len(rows)))
    while dirty:
        touched: dict[int, set[int]] = {}
        for state in dirty:
            touched.setdefault(block[state], set()).add(state)
        dirty = set()
        for number, looked_at in touched.items():
            for part in _smaller_parts(members[number], looked_at, rows, block):
                members[number] -= part
                for state in part:
                    block[state] = len(members)
                    dirty.update(before[state])
                members.append(part)
    return block


def _smaller_parts(members: set[int], looked_at: set[int], rows: list[list[int]], block: list[int]) -> list[set[int]]:
    """The parts that a class splits into, without the largest. Members not looked at have one signature together."""
    if len(members) == 1:
        return []
    parts: dict[tuple[int, ...], set[int]] = {}
    for state in looked_at:
        parts.setdefault(tuple([block[following] for following in rows[state]]), set()).add(state)
    if len(looked_at) < len(members):
        other = next(state for state in members if state not in looked_at)
        signature = tuple([block[following] for following in rows[other]])
        parts[signature] = parts.get(signature, set()) | (members - looked_at)
    by_size = sorted(parts.values(), key=len)
    return by_size[:-1]


def _merge_columns(columns: bytes, rows: list[list[int]], accepts: list[int], width: int) -> Automaton:
    numbers: dict[tuple[int, ...], int] = {}
    merged = [0] * width
    kept = [0]
    for column in range(1, width):
        key = tuple(row[column] for row in rows)
        merged[column] = numbers.setdefault(key, len(numbers) + 1)
        if merged[column] == len(kept):
            kept.append(column)
    table = array("I")
    for row in rows:
        table.append(DEAD)
        table.extend(row[column] for column in kept[1:])
    return Automaton(bytes(merged[column] for column in columns), len(kept), table, tuple(accepts))
