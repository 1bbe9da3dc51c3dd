"""A registry: versions that never change, labels that move, and nothing half-written that is handed out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import fusionprog as fp
from fusionprog.artifacts.text import content_hash, to_text
from fusionprog.errors import ArtifactError, ArtifactHashError, RegistryError
from fusionprog.runtime.lineage import Lineage
from fusionprog.runtime.record import Score


class Renamed(MemoryFileSystem):
    """Files in memory on a system that is not known to put files whole."""

    protocol = "renamed"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> Any:
        return super()._strip_protocol(path.replace(f"{cls.protocol}://", "memory://"))


class ReadOnly(Renamed):
    """The same files, for somebody who may not write them."""

    protocol = "readonly"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        raise PermissionError(13, "Access Denied")


@pytest.fixture(params=["folder", "memory", "renamed"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[fp.Registry]:
    for kind in (Renamed, ReadOnly):
        fsspec.register_implementation(kind.protocol, kind, clobber=True)
    yield fp.Registry(tmp_path / "registry" if request.param == "folder" else f"{request.param}://some/registry")
    MemoryFileSystem.store.clear()
    Renamed.store.clear()
    Renamed.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def programs(assemble: Callable[..., fp.CompiledProgram]) -> list[fp.CompiledProgram]:
    """A program, and two that were made from it."""
    graph = fp.ProgramGraph("Desk")
    graph.add("it", fp.modules.Predict("text: str -> label: str"))
    graph.connect("text", "it.text")
    graph.output("label", "it.label")
    task = fp.Task("t", labels={"it.label": ["yes", "no"]}, metric=fp.metrics.exact_match("label"))
    first = assemble(graph, [task])
    second = first.with_lineage(Lineage.of("adapt", [(first, "task u")]))
    return [first, second, first.with_lineage(Lineage.of("merge", [(first, "one"), (second, "other")]))]


def files(registry: fp.Registry) -> dict[str, bytes]:
    system, root = fsspec.url_to_fs(registry.url)
    return {path.removeprefix(root).lstrip("/"): system.cat_file(path) for path in system.find(root)}


def damage(registry: fp.Registry, path: str, content: bytes) -> None:
    system, root = fsspec.url_to_fs(registry.url)
    system.makedirs(f"{root}/{path}".rpartition("/")[0], exist_ok=True)
    system.pipe_file(f"{root}/{path}", content)


def test_what_is_pushed_is_pulled_byte_for_byte(
    registry: fp.Registry, programs: list[fp.CompiledProgram], tmp_path: Path
) -> None:
    programs[0].save(tmp_path / "desk.json")
    pushed = registry.push(tmp_path / "desk.json", labels=["prod"])
    assert (pushed.name, pushed.number, pushed.labels) == ("desk", 1, ("prod",))
    assert pushed.hash == programs[0].content_hash
    assert pushed.scores == {"t": Score(0.75, 0.04, 40)}
    for reference in ("desk", "desk@prod", f"desk@{pushed.hash[:6]}", f"desk@{pushed.hash}"):
        assert registry.pull(reference, tmp_path / "again.json") == pushed
        assert (tmp_path / "again.json").read_bytes() == (tmp_path / "desk.json").read_bytes()
    digest = pushed.hash
    assert sorted(files(registry)) == [
        f"artifacts/{digest}.json",
        f"programs/desk/labels/prod/000001-{digest}",
        f"programs/desk/versions/000001-{digest}",
    ]


def test_versions_stand_in_the_order_of_pushing(registry: fp.Registry, programs: list[fp.CompiledProgram]) -> None:
    for program in programs:
        registry.push(program, name="desk")
    versions = registry.versions("desk")
    assert [each.number for each in versions] == [1, 2, 3]
    assert [each.hash for each in versions] == [each.content_hash for each in programs]
    assert [each.parents for each in versions] == [each.record.lineage.parents for each in programs]
    assert registry.artifact("desk").hash == programs[2].content_hash
    assert registry.push(programs[0]).name == "Desk", "a program is known by its own name, if none is given"
    assert registry.names() == ("Desk", "desk")


def test_the_same_content_is_one_version_and_nothing_is_written(
    registry: fp.Registry, programs: list[fp.CompiledProgram]
) -> None:
    for program in (*programs[:2], programs[0]):
        registry.push(program, name="desk", labels=["dev"])
    assert registry.hashes("desk") == (programs[0].content_hash, programs[1].content_hash)
    before = files(registry)
    registry.push(programs[0], name="desk", labels=["dev"])
    assert files(registry) == before


def test_labels_move_and_keep_where_they_were(registry: fp.Registry, programs: list[fp.CompiledProgram]) -> None:
    first, second, third = (each.content_hash for each in programs)
    for program in programs:
        registry.push(program, name="desk")
    assert registry.labels("desk") == {}
    registry.label("desk", "prod", first)
    registry.label("desk", "next", third[:8])
    registry.label("desk", "prod", second)
    assert registry.label("desk", "prod", "next").labels == ("next", "prod")
    assert registry.label("desk", "prod", first).hash == first
    assert registry.labels("desk") == {"next": third, "prod": first}
    assert registry.history("desk", "prod") == (first, second, third, first)
    assert registry.history("desk", "other") == ()


def test_two_that_push_at_once_are_both_there(registry: fp.Registry, programs: list[fp.CompiledProgram]) -> None:
    """Both saw an empty registry, so both took the first number."""
    registry.push(programs[0], name="desk")
    digest = programs[1].content_hash
    damage(registry, f"programs/desk/versions/000001-{digest}", b"")
    registry.push(programs[1], name="desk")
    assert set(registry.hashes("desk")) == {programs[0].content_hash, digest}


def test_a_program_is_loaded_and_compared_from_a_registry_by_url(
    programs: list[fp.CompiledProgram], tmp_path: Path
) -> None:
    url = f"file://{tmp_path / 'registry'}"
    fp.Registry(url).push(programs[0], name="desk", labels=["prod"])
    assert fp.load(f"{url}#desk@prod").content_hash == programs[0].content_hash
    with pytest.raises(RegistryError, match=r"no version 'prof' of 'desk'\. Did you mean 'prod'"):
        fp.load(f"{url}#desk@prof")
    (tmp_path / "a#b.json").write_bytes(b"{}")
    with pytest.raises(ArtifactError, match="is no artifact"):
        fp.load(str(tmp_path / "a#b.json"))


NAMES = [
    "",
    ".",
    "..",
    "../desk",
    "a/b",
    "a\\b",
    "/etc",
    "a\0b",
    "a\n",
    "x" * 65,
    "-a",
    "a.",
    ".git",
    "ä",
    "con",
    "AUX.json",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_could_lead_elsewhere_are_refused(
    name: str, registry: fp.Registry, programs: list[fp.CompiledProgram], tmp_path: Path
) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: registry.push(programs[0], name=name),
        lambda: registry.push(programs[0], name="desk", labels=["prod", name]),
        lambda: registry.label("desk", name, "prod"),
        lambda: registry.label(name, "prod", "prod"),
        lambda: registry.versions(name),
        lambda: registry.labels(name),
        lambda: registry.history("desk", name),
        lambda: registry.pull(name, tmp_path / "out.json"),
    ]
    for attempt in attempts:
        with pytest.raises(RegistryError, match="is no name of a"):
            attempt()
    assert files(registry) == {}
    assert not (tmp_path / "out.json").exists()


def test_a_label_is_not_taken_for_a_hash(registry: fp.Registry, programs: list[fp.CompiledProgram]) -> None:
    with pytest.raises(RegistryError, match="could be the beginning of a hash"):
        registry.push(programs[0], name="desk", labels=["facade"])
    assert registry.push(programs[0], name="desk", labels=["face"]).labels == ("face",)


def test_what_there_is_not_is_said_with_what_there_is(
    registry: fp.Registry, programs: list[fp.CompiledProgram]
) -> None:
    with pytest.raises(RegistryError, match=r"no program 'desk'\. It is empty"):
        registry.versions("desk")
    registry.push(programs[0], name="desk", labels=["prod"])
    with pytest.raises(RegistryError, match=r"no program 'desc'\. Did you mean 'desk'"):
        registry.artifact("desc")
    with pytest.raises(RegistryError, match=r"no version '000000' of 'desk'\. Known are .*'prod'"):
        registry.artifact("desk@000000")


def test_a_hash_prefix_of_two_versions_is_refused(registry: fp.Registry, programs: list[fp.CompiledProgram]) -> None:
    registry.push(programs[0], name="desk")
    twin = programs[0].content_hash[:31] + ("0" if programs[0].content_hash[31] != "0" else "1")
    damage(registry, f"programs/desk/versions/000002-{twin}", b"")
    with pytest.raises(RegistryError, match=r"could be 2 versions: .*Write more of the hash"):
        registry.artifact(f"desk@{twin[:12]}")


HALF: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda whole: whole[: len(whole) // 2],
    "nothing": lambda _: b"",
    "no text": lambda _: b"\xff\xfe\x00",
    "edited": lambda whole: whole.replace(b"0.75", b"0.99"),
    "another artifact": lambda whole: _rehashed(whole),
}


def _rehashed(whole: bytes) -> bytes:
    data = json.loads(whole)
    data["compile"]["seed"] = 99
    return to_text({**data, "hash": content_hash(data)}).encode("utf-8")


@pytest.mark.parametrize("kind", HALF)
def test_a_half_written_version_is_named_never_handed_out_and_mended(
    kind: str, registry: fp.Registry, programs: list[fp.CompiledProgram], tmp_path: Path
) -> None:
    whole = registry.push(programs[0], name="desk", labels=["prod"])
    path = f"artifacts/{whole.hash}.json"
    damage(registry, path, HALF[kind](files(registry)[path]))
    said = rf"desk@{whole.hash[:12]} in the registry .* is (damaged|another artifact)(.|\n)*Push it again"
    for attempt in (
        lambda: registry.pull("desk@prod", tmp_path / "out.json"),
        lambda: registry.artifact("desk"),
        lambda: registry.label("desk", "next", "prod"),
    ):
        with pytest.raises(RegistryError, match=said):
            attempt()
    assert not (tmp_path / "out.json").exists()
    (listed,) = registry.versions("desk")
    assert "Push it again" in listed.problem and listed.labels == ("prod",)
    assert registry.text_of(whole.hash) is None
    assert registry.push(programs[0], name="desk") == whole
    assert len(registry.versions("desk")) == 1


def test_a_version_whose_artifact_is_gone_is_named(registry: fp.Registry, programs: list[fp.CompiledProgram]) -> None:
    registry.push(programs[0], name="desk")
    system, root = fsspec.url_to_fs(registry.url)
    system.rm_file(f"{root}/artifacts/{programs[0].content_hash}.json")
    with pytest.raises(RegistryError, match=r"is not there, though it was pushed\. Push it again"):
        registry.artifact("desk")


def test_a_push_that_broke_off_leaves_what_was_there(
    registry: fp.Registry, programs: list[fp.CompiledProgram], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push(programs[0], name="desk")
    before = files(registry)

    def stop(*arguments: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        for place in ("os.fsync", "fsspec.implementations.memory.MemoryFileSystem.mv"):
            patch.setattr(place, stop)
        if registry.url.startswith("memory"):
            patch.setattr(MemoryFileSystem, "pipe_file", stop)
        with pytest.raises(RegistryError, match=r"cannot be written at 'artifacts/.*No space left"):
            registry.push(programs[1], name="desk")
    assert files(registry) == before, "no temporary file stays behind"
    assert registry.push(programs[1], name="desk").number == 2


@pytest.mark.parametrize("registry", ["renamed"], indirect=True)
def test_a_read_only_registry_can_be_read_and_says_so_where_it_is_written(
    programs: list[fp.CompiledProgram], registry: fp.Registry, tmp_path: Path
) -> None:
    registry.push(programs[0], name="desk", labels=["prod"])
    reader = fp.Registry(registry.url.replace("renamed", "readonly"))
    assert reader.pull("desk@prod", tmp_path / "desk.json").hash == programs[0].content_hash
    attempts: list[Callable[[], object]] = [
        lambda: reader.push(programs[1], name="desk"),
        lambda: reader.push(programs[0], labels=["x"]),
        lambda: reader.label("desk", "next", "prod"),
    ]
    for attempt in attempts:
        with pytest.raises(RegistryError, match=r"cannot be written at .*Access Denied.*may be read-only"):
            attempt()
    assert len(reader.versions("desk")) == 1


def test_a_file_is_no_registry(tmp_path: Path, programs: list[fp.CompiledProgram]) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    registry = fp.Registry(tmp_path / "file")
    assert registry.names() == ()
    with pytest.raises(RegistryError, match=r"cannot be read at 'artifacts/.*Not a directory"):
        registry.push(programs[0])
    for url in ("nosuch://x/y", "s3+x://y"):
        with pytest.raises(RegistryError, match="cannot be opened"):
            fp.Registry(url)


def test_what_is_no_artifact_is_not_pushed(
    registry: fp.Registry, programs: list[fp.CompiledProgram], tmp_path: Path
) -> None:
    programs[0].save(tmp_path / "desk.json")
    text = (tmp_path / "desk.json").read_text(encoding="utf-8")
    (tmp_path / "desk.json").write_text(text.replace("0.75", "0.99"), encoding="utf-8")
    with pytest.raises(ArtifactHashError):
        registry.push(tmp_path / "desk.json")
    with pytest.raises(ArtifactError, match="cannot be read"):
        registry.push(tmp_path / "gone.json")
    assert files(registry) == {}


def test_files_that_nobody_pushed_are_no_versions(registry: fp.Registry, programs: list[fp.CompiledProgram]) -> None:
    registry.push(programs[0], name="desk", labels=["prod"])
    digest = programs[0].content_hash
    for path in ("versions/notes.txt", "versions/000009-xyz", "versions/.1.tmp", "labels/stray", "labels/prod/.2.tmp"):
        damage(registry, f"programs/desk/{path}", b"x")
    for path in (f"desk/labels/facade/000001-{digest}", f"desk/labels/-x/000001-{digest}", f"-x/versions/1-{digest}"):
        damage(registry, f"programs/{path}", b"x")
    assert registry.names() == ("desk",)
    assert len(registry.versions("desk")) == 1
    assert registry.labels("desk") == {"prod": programs[0].content_hash}


def test_an_artifact_that_is_too_large_is_not_read_whole(
    registry: fp.Registry, programs: list[fp.CompiledProgram], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push(programs[0], name="desk")
    monkeypatch.setattr("fusionprog.artifacts.registry.storage.MAX_BYTES", 100)
    with pytest.raises(RegistryError, match="is too large: expected at most 100 bytes"):
        registry.artifact("desk")
    assert "is too large" in registry.versions("desk")[0].problem
