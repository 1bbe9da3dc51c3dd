"""SIGKILL at fifty moments of a compile: what was kept is never asked again, and the artifact is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.kills import draw_kills, kill_and_continue
from tests.durability.scene import Scene, Whole


def test_the_desk_is_worth_killing(whole: Whole) -> None:
    assert 250 <= whole.calls <= 600
    assert b'"improved": true' in whole.artifact
    assert whole.trials == (tuple(range(8)),)


@pytest.mark.parametrize("seed", range(50))
def test_a_killed_compile_continues_to_the_same_artifact(scene: Scene, whole: Whole, tmp_path: Path, seed: int) -> None:
    kill_and_continue(scene, tmp_path, whole, draw_kills(seed, whole.calls))


def test_the_kills_are_spread_over_the_whole_compile() -> None:
    firsts = [draw_kills(seed, 400)[0].answers for seed in range(50)]
    assert firsts.count(0) == 5 and firsts.count(400) == 10
    assert all(any(100 * part < each <= 100 * (part + 1) for each in firsts) for part in range(4))
    assert sum(len(draw_kills(seed, 400)) for seed in range(50)) > 60
