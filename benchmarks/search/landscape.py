"""A language model whose best prompts are known.

Whether it is right depends on the messages alone: on the fragments that can be read in them, on how long they are, and
on the task that the case is of. A fragment has an effect in all tasks, in a group of tasks whose descriptions share
words, and in a single task; pairs of fragments help or hinder each other; some fragments help one group and harm
another; every word of a fragment or a demonstration distracts. So the expected score of any prompt is known exactly,
and so is the best prompt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from _engines import ASKED, read_form

Vector = npt.NDArray[np.float64]
Messages = Sequence[Mapping[str, str]]

LABELS = ("north", "east", "south", "west")
NODES = {1: ("decide",), 2: ("read", "decide")}
OUTPUTS = {"read": "evidence", "decide": "answer"}
MOST_ITEMS = 20  # whose subsets can all be looked at
_LEAST, _MOST = 0.02, 0.98  # chances of a right answer
_LEAK = 0.3  # how much of its chance a node keeps whose evidence is wrong
_PRINCIPLE = re.compile(r"^.*Principle of (\w+):.*$", re.MULTILINE)
_CASE = re.compile(r"Case (\d+) of (\w+),")
_NAMES = (
    "amber basalt cobalt delta ember flint garnet hazel indigo jasper kelp linen marble nickel onyx pewter quartz "
    "russet saffron teal umber violet walnut xenon yarrow zircon agate birch cedar dune"
).split()
_TOPICS = (
    "tides mooring ballast orchards grafting irrigation looms dyeing spinning glaciers moraines crevasses "
    "comets eclipses meteors violins bassoons cymbals"
).split()
_GROUPS = (
    "at sea with ships harbours pilots and charts",
    "on farms with soil seeds rain and harvest",
    "in mills with cloth thread wool and weavers",
    "in mountains with ice rock snow and climbers",
    "in the sky with stars orbits light and lenses",
    "in halls with music players scores and stages",
)


@dataclass(frozen=True)
class Shape:
    """What a landscape is like; scales are standard deviations in units of score.

    Attributes:
        tasks: How many tasks, at most 18.
        groups: How many groups of tasks; as many as tasks: they have nothing in common.
        items: How many fragments, at most 30.
        nodes: 1, or 2 where one node reads and the next decides by what it read.
        base: Chance of a right answer with no fragment.
        shared: Scale of effects in all tasks.
        group: Scale of effects in a group.
        own: Scale of effects in a single task.
        node: Scale of effects at a single node, where there are two.
        pairs: How many pairs of fragments interact.
        pair: Scale of what they do together.
        conflicts: How many fragments help some groups as much as they harm the others.
        conflict: The size of that.
        distraction: What each word of a fragment or a demonstration costs.
        turned: Whether all effects have the opposite sign.
        outlier: What the first fragment does in all tasks beyond what it would.
    """

    tasks: int = 12
    groups: int = 3
    items: int = 16
    nodes: int = 1
    base: float = 0.30
    shared: float = 0.06
    group: float = 0.07
    own: float = 0.03
    node: float = 0.04
    pairs: int = 16
    pair: float = 0.05
    conflicts: int = 3
    conflict: float = 0.08
    distraction: float = 0.0008
    turned: bool = False
    outlier: float = 0.0


@dataclass(frozen=True)
class Card:
    """What is told of a task.

    Attributes:
        name: Its name, which cases name too.
        group: The number of its group.
        description: In words that its group shares.
    """

    name: str
    group: int
    description: str


@dataclass(frozen=True)
class Case:
    """One example: what is asked, and what is right at every node."""

    text: str
    evidence: str
    answer: str


class Landscape:
    """The language model, and what is known of it.

    Args:
        shape: What it is like.
        seed: Decides the effects.

    Attributes:
        fragments: Fragment → its text.
        cards: Task → what is told of it.
    """

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        draw = np.random.default_rng([seed, shape.tasks, shape.items])
        self.fragments = {name: _text(name, int(draw.integers(8, 24))) for name in _NAMES[: shape.items]}
        self.cards = {}
        for place, topic in enumerate(_TOPICS[: shape.tasks]):
            group = place % shape.groups
            about = _GROUPS[group] if shape.groups <= len(_GROUPS) else f"for people who know {topic}"
            self.cards[topic] = Card(topic, group, f"Decide cases of {topic}, {about}.")
        self.nodes = NODES[shape.nodes]
        self._words = np.array([len(text.split()) for text in self.fragments.values()], dtype=float)
        self._effects = _effects(shape, self.nodes, list(self.cards.values()), draw)
        self._pairs = {node: _pairs(shape, draw) for node in self.nodes}
        self._seen: dict[str, tuple[frozenset[str], int]] = {}

    @property
    def identity(self) -> dict[str, object]:
        """What answers depend on beside the messages."""
        effects = {node: mine.tobytes().hex() for node, mine in self._effects.items()}
        known = hashlib.blake2b(repr((self.shape, effects)).encode(), digest_size=8).hexdigest()
        return {"model": "landscape", "effects": known}

    def case(self, task: str, number: int) -> Case:
        """Returns a task's case of this number."""
        about = self.cards[task].description.partition(", ")[2].rstrip(".")
        text = f"Case {number} of {task}, {about}: which way is it?"
        return Case(text, *_right(task, number))

    def chance(self, task: str, node: str, items: frozenset[str], other_words: int = 0) -> float:
        """Returns how probable it is that a node is right, given that what it is told is right.

        Args:
            task: The task.
            node: The node.
            items: The fragments in its prompt.
            other_words: Words of the demonstrations in it.
        """
        here = np.array([[name in items for name in self.fragments]], dtype=float)
        return float(self._chances(task, node, here, other_words)[0])

    def expected(self, chances: Mapping[str, float]) -> float:
        """Returns how probable a right answer of all nodes in a row is.

        Args:
            chances: Node → how probable it is that it is right, given that what it is told is right.
        """
        right = 1.0
        for node in self.nodes:
            right = chances[node] * (right + (1 - right) * _LEAK)
        return right

    def base(self, task: str) -> float:
        """Returns the expected score with no fragment at all."""
        return self.expected({node: self.chance(task, node, frozenset()) for node in self.nodes})

    def optimum(self, task: str) -> float:
        """Returns the expected score of the best fragments, found among all their subsets.

        Raises:
            ValueError: if there are too many fragments to look at all subsets.
        """
        best = self.best(task)
        return self.expected({node: self.chance(task, node, items) for node, items in best.items()})

    def best(self, task: str) -> dict[str, frozenset[str]]:
        """Returns node → the best fragments; see ``optimum``."""
        names = list(self.fragments)
        chosen = {}
        for node in self.nodes:
            place = int(self._chances(task, node, self._subsets, 0).argmax())
            chosen[node] = frozenset(name for name, here in zip(names, self._subsets[place], strict=True) if here)
        return chosen

    def read(self, messages: Messages) -> tuple[str, str, frozenset[str], int]:
        """Returns what messages show: task, node, fragments, and words of demonstrations."""
        *before, last = messages
        case = _CASE.search(last["content"])
        if case is None:
            raise ValueError(f"the last message holds no case: {last['content'][:80]!r}")
        _, fields = read_form(last["content"].rpartition(ASKED)[2])
        node = "read" if OUTPUTS["read"] in fields else "decide"
        return (case[2], node, *self._prefix(before))

    def answer(self, messages: Messages) -> str:
        """Returns what the model says to messages, in the form that they ask for."""
        task, node, items, words = self.read(messages)
        last = messages[-1]["content"]
        number = int(_CASE.search(last)[1])  # type: ignore[index]
        evidence, answer = _right(task, number)
        right = evidence if node == "read" else answer
        chance = self.chance(task, node, items, words)
        if node == "decide" and len(self.nodes) > 1 and not re.search(rf"\b{evidence}\b", _shown(last)):
            chance *= _LEAK
        drawn = _uniform([task, node, str(number), *(message["content"] for message in messages[:-1])])
        given = right if drawn < chance else LABELS[(LABELS.index(right) + 1 + int(drawn * 1e6) % 3) % len(LABELS)]
        template, fields = read_form(last.rpartition(ASKED)[2])
        said = [template.format(field=field, value="" if field == "completed" else given) for field in fields]
        return "{" + ", ".join(said) + "}" if template.startswith('"') else "".join(said)

    def chance_of(self, messages: Messages) -> tuple[str, str, float]:
        """Returns task, node, and how probable it is that the node is right where what it is told is right."""
        task, node, items, words = self.read(messages)
        return task, node, self.chance(task, node, items, words)

    def _prefix(self, before: Messages) -> tuple[frozenset[str], int]:
        key = "\n\n".join(message["content"] for message in before)
        if key not in self._seen:
            items = frozenset(name for name in _PRINCIPLE.findall(key) if name in self.fragments)
            turns = [message["content"] for message in before if message["role"] != "system"]
            self._seen[key] = items, sum(len(turn.split()) for turn in turns)
        return self._seen[key]

    @cached_property
    def _subsets(self) -> Vector:
        """All subsets of the fragments, shape ``(2 ** n_items, n_items)``."""
        count = len(self.fragments)
        if count > MOST_ITEMS:
            raise ValueError(f"the optimum is known for at most {MOST_ITEMS} fragments, not for {count}")
        numbers = np.arange(2**count)[:, np.newaxis]
        return np.asarray((numbers >> np.arange(count)) & 1, dtype=float)

    def _chances(self, task: str, node: str, shown: Vector, other_words: int) -> Vector:
        """Chances of a right answer for subsets of the fragments, shape ``(n_subsets,)``."""
        place = list(self.cards).index(task)
        sums = self.shape.base + shown @ self._effects[node][place]
        for one, other, value in self._pairs[node]:
            sums = sums + value * shown[:, one] * shown[:, other]
        sums = sums - self.shape.distraction * (shown @ self._words + other_words)
        return np.asarray(np.clip(sums, _LEAST, _MOST))


def _effects(shape: Shape, nodes: Sequence[str], cards: Sequence[Card], draw: np.random.Generator) -> dict[str, Vector]:
    """Node → effects of fragments in tasks, shape ``(n_tasks, n_items)``."""
    groups = [card.group for card in cards]
    everywhere = draw.normal(0.0, 1.0, shape.items) * shape.shared
    everywhere[0] += shape.outlier
    signs = np.where(np.arange(shape.groups) % 2 == 0, 1.0, -1.0)
    effects = {}
    for node in nodes:
        here = everywhere + draw.normal(0.0, 1.0, shape.items) * (shape.node if len(nodes) > 1 else 0.0)
        by_group = draw.normal(0.0, 1.0, (shape.groups, shape.items)) * shape.group
        for place in draw.choice(shape.items, shape.conflicts, replace=False):
            by_group[:, place] += shape.conflict * signs
        own = draw.normal(0.0, 1.0, (len(cards), shape.items)) * shape.own
        effects[node] = (here + by_group[groups] + own) * (-1.0 if shape.turned else 1.0)
    return effects


def _pairs(shape: Shape, draw: np.random.Generator) -> list[tuple[int, int, float]]:
    all_pairs = [(one, other) for one in range(shape.items) for other in range(one)]
    chosen = draw.choice(len(all_pairs), shape.pairs, replace=False)
    return [(*all_pairs[place], float(draw.normal(0.0, 1.0)) * shape.pair) for place in chosen]


def _text(name: str, words: int) -> str:
    filler = "look again at what the case says and at what it leaves out before you settle on one of the ways".split()
    return f"Principle of {name}: {' '.join((filler * 2)[:words])}."


def _right(task: str, number: int) -> tuple[str, str]:
    """What is right at the nodes: the evidence and the answer of a case."""
    drawn = int(_uniform([task, str(number), "right"]) * len(LABELS) ** 2)
    return LABELS[drawn // len(LABELS)], LABELS[drawn % len(LABELS)]


def _shown(last: str) -> str:
    """What a message shows, without what it says on the form of the answer."""
    return last.rpartition(ASKED)[0]


def _uniform(parts: Sequence[str]) -> float:
    """Returns a number in [0, 1), drawn by the hash of texts."""
    drawn = hashlib.blake2b("\0".join(parts).encode(), digest_size=7).digest()
    return int.from_bytes(drawn, "big") / 2**56


SHAPES: Mapping[str, Shape] = {
    "landscape": Shape(tasks=6),
    "landscape-12": Shape(tasks=12),
    "landscape-unrelated": Shape(tasks=6, groups=6, shared=0.0, group=0.0, own=0.1, conflicts=0),
    "landscape-useless": Shape(tasks=6, shared=0.0, group=0.0, own=0.0, pairs=0, conflicts=0, distraction=0.0),
    "landscape-two-nodes": Shape(tasks=6, nodes=2, base=0.55),
}
