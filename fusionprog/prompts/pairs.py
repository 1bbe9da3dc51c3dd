"""What two items do together: an item's effect depends on which others are open."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Effects = npt.NDArray[np.float64]


def with_partners(
    keys: tuple[str, ...], effects: Effects, costs: Effects, pairs: Mapping[str, Mapping[str, float]]
) -> Effects:
    """Returns what each item does beside those that are open, shape ``(n_keys,)``.

    Items are opened and shut one by one, always the one with most to gain, until each is open where its effect beside
    the others is above its cost: no single change makes the sum of effects better.

    Args:
        keys: The items.
        effects: What each does alone, shape ``(n_keys,)``.
        costs: Above which effect each is open, shape ``(n_keys,)``.
        pairs: Item → item → what both do beyond the sum of their effects; each pair is named once.

    Note:
        Every change makes the sum better, so it ends; it takes few changes, as pairs are few.
    """
    place = {key: number for number, key in enumerate(keys)}
    known = [
        (place[one], place[other], effect)
        for one, others in pairs.items()
        for other, effect in others.items()
        if one in place and other in place
    ]
    if not known:
        return effects
    is_open = effects > costs
    while True:
        beside = effects.copy()
        for one, other, effect in known:
            beside[one] += effect * is_open[other]
            beside[other] += effect * is_open[one]
        beside = np.round(beside, 9)
        wrong = np.flatnonzero((beside > costs) != is_open)
        if not len(wrong):
            return beside
        most = wrong[np.argmax(np.abs(beside - costs)[wrong])]
        is_open[most] = not is_open[most]
