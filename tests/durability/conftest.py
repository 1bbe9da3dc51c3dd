"""One server and one process that starts commands for all tests here, and what the desk comes to undisturbed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.durability.scene import Scene, Whole, open_scene, undisturbed


@pytest.fixture(scope="session")
def shared_scene() -> Iterator[Scene]:
    """The scene, with whatever the test before left in its log."""
    with open_scene() as scene:
        yield scene


@pytest.fixture(scope="session")
def whole(shared_scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What a compile comes to that nothing disturbs."""
    return undisturbed(shared_scene, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def scene(shared_scene: Scene, whole: Whole) -> Scene:
    """The scene, with an empty log and without faults."""
    shared_scene.forget()
    return shared_scene
