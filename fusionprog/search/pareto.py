"""Pareto fronts: what is not beaten in everything at once, and the point where more of one begins to cost much."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = Sequence[float]  # one number an axis; the higher the better


def front(points: Sequence[Point]) -> list[int]:
    """Returns the places of the points that no other dominates, the best on the first axis first.

    A point dominates another if it is no worse on every axis and better on one. Of equal points the first stays.
    """
    rounded = [tuple(round(value, 9) for value in point) for point in points]
    left = [
        place
        for place, point in enumerate(rounded)
        if point not in rounded[:place] and not any(_dominates(other, point) for other in rounded)
    ]
    return sorted(left, key=lambda place: ([-value for value in rounded[place]], place))


def _dominates(one: Point, other: Point) -> bool:
    return one != other and all(mine >= theirs for mine, theirs in zip(one, other, strict=True))


def chord_distances(points: Sequence[Point]) -> list[float]:
    """Returns how far each point of a front lies above the chord between its ends, every axis scaled to [0, 1].

    With two axes the ends are the best on either, and the distance is that to the line between them. With more, the
    chord is the plane through the best of every axis alone: the distance is that of the sum of the scaled values. The
    point that is farthest is the front's knee: from there on, a little more of one axis takes much of another.

    References:
        Branke et al., "Finding Knees in Multi-objective Optimization", 2004.
    """
    if not points:
        return []
    lows = [min(values) for values in zip(*points, strict=True)]
    spans = [max(values) - low for values, low in zip(zip(*points, strict=True), lows, strict=True)]
    axes = [axis for axis, span in enumerate(spans) if span > 0]
    scale = math.sqrt(len(axes) or 1)
    return [(sum((point[axis] - lows[axis]) / spans[axis] for axis in axes) - 1) / scale for point in points]


def spread(points: Sequence[Point], count: int) -> list[int]:
    """Returns the places of up to ``count`` points along a front: its ends, then those farthest above the chord.

    Args:
        points: A front, the best on the first axis first.
        count: How many, at least one.
    """
    if len(points) <= count:
        return list(range(len(points)))
    distances = chord_distances(points)
    inner = sorted(range(1, len(points) - 1), key=lambda place: (-round(distances[place], 9), place))
    ends = [0, len(points) - 1]
    return sorted([*ends, *inner][:count])


def staircase(costs: Sequence[float], count: int) -> list[int]:
    """Returns the places of up to ``count`` candidates that are ranked by quality, and are to differ in cost.

    First come those that are cheaper than all that are ranked above them: nothing is known to be both better and
    cheaper. Then the same among the rest, and so on.

    Args:
        costs: What each costs, the most promising candidate first.
        count: How many.
    """
    chosen: list[int] = []
    left = list(range(len(costs)))
    while left and len(chosen) < count:
        least, layer = math.inf, []
        for place in left:
            if costs[place] < least:
                least = costs[place]
                layer.append(place)
        chosen += layer
        left = [place for place in left if place not in layer]
    return sorted(chosen[:count])
