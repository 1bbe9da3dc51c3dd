"""``Registry``: pushes, pulls, labels and lists compiled programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fusionprog._internal.files import write_atomically
from fusionprog._internal.registry import did_you_mean
from fusionprog.artifacts.document import artifact_of, artifact_text, checked_data, read_text
from fusionprog.artifacts.lineage_codec import decode_lineage
from fusionprog.artifacts.registry.references import Reference, check_label, check_name, is_hash_prefix, is_name
from fusionprog.artifacts.registry.storage import Storage
from fusionprog.artifacts.schema import Artifact
from fusionprog.errors import ArtifactError, ArtifactVersionError, RegistryError
from fusionprog.runtime.compiled import CompiledProgram
from fusionprog.runtime.lineage import Parent
from fusionprog.runtime.record import Score

_ENTRY = re.compile(r"([0-9]{6,9})-([0-9a-f]{32})")


@dataclass(frozen=True)
class Version:
    """A version of a program.

    Attributes:
        name: The program's name in the registry.
        number: Its place in the order of pushing, from 1.
        hash: Its content hash.
        labels: The labels that are on it, sorted.
        scores: Task → its score on test, or on confirmation where there is no test; without those not measured.
        parents: What it was made from.
        problem: Why it cannot be used; empty where it can.
    """

    name: str
    number: int
    hash: str
    labels: tuple[str, ...] = ()
    scores: Mapping[str, Score] = field(default_factory=dict)
    parents: tuple[Parent, ...] = ()
    problem: str = ""


class Registry:
    """Compiled programs in a folder or at a URL: versions that never change, and labels that move.

    A version is known by its content hash, so the same content pushed twice is one version. Programs are referred to
    as ``desk`` (the newest version), ``desk@prod`` (a label) or ``desk@1f0c9a`` (the beginning of a hash).

    Args:
        url: A folder, or a URL of one that fsspec reads and writes (``s3://…``, ``gs://…``, ``sftp://…``).

    Raises:
        RegistryError: if the URL cannot be used.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self._storage = Storage(url)

    @property
    def url(self) -> str:
        """Where it is, as given."""
        return self._storage.url

    def push(
        self,
        program: CompiledProgram | str | os.PathLike[str],
        *,
        name: str | None = None,
        labels: Iterable[str] = (),
    ) -> Version:
        """Adds a program as the newest version of its name, unless it is one of its versions already.

        Args:
            program: A compiled program, or the path of its artifact.
            name: Its name in the registry; if not given, that of its graph, or the file's without its ending.
            labels: Labels that are put on it.

        Raises:
            ArtifactError: if the artifact is not sound.
            RegistryError: if a name cannot be used, or the registry cannot be written.
        """
        own_name = program.graph.name if isinstance(program, CompiledProgram) else Path(program).stem
        name, labels = own_name if name is None else name, list(labels)
        check_name(name, "a program")
        for label in labels:
            check_label(label)
        if isinstance(program, CompiledProgram):
            where = f"the artifact of {name!r}"
            text = artifact_text(program, where)
        else:
            where = f"the artifact {str(program)!r}"
            text = read_text(program, where)
        data = checked_data(text, where)
        artifact_of(data, where)
        digest = str(data["hash"])
        if not self._is_whole(digest):
            self._storage.write(_artifact_path(digest), text)
        if digest not in self._entries(_versions_path(name)):
            self._append(_versions_path(name), digest)
        for label in labels:
            self._put(name, label, digest)
        return self._version(name, digest, self.hashes(name), self.labels(name))

    def pull(self, reference: str, path: str | os.PathLike[str]) -> Version:
        """Writes a version to a file, byte for byte as it was pushed.

        Raises:
            RegistryError: if there is no such version, or it is damaged.
            ArtifactError: if the file cannot be written.
        """
        name, digest = self._find(reference)
        text, _ = self._read(name, digest)
        try:
            write_atomically(Path(path), text)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"the artifact {str(path)!r} cannot be written", found=str(error)) from error
        return self._version(name, digest, self.hashes(name), self.labels(name))

    def artifact(self, reference: str) -> Artifact:
        """Returns a version's artifact.

        Raises:
            RegistryError: if there is no such version, or it is damaged.
        """
        return self._read(*self._find(reference))[1]

    def label(self, name: str, label: str, version: str) -> Version:
        """Puts a label on a version; where it was before stays in its history.

        Args:
            name: The program's name.
            label: The label.
            version: The beginning of the version's hash, or another label.

        Raises:
            RegistryError: if there is no such version, or it is damaged, or the registry cannot be written.
        """
        check_name(name, "a program")
        check_label(label)
        _, digest = self._find(f"{name}@{version}")
        self._read(name, digest)
        self._put(name, label, digest)
        return self._version(name, digest, self.hashes(name), self.labels(name))

    def names(self) -> tuple[str, ...]:
        """Returns the programs, sorted."""
        found = filter(is_name, self._storage.names("programs"))
        return tuple(each for each in found if self._entries(_versions_path(each)))

    def hashes(self, name: str) -> tuple[str, ...]:
        """Returns the hashes of a program's versions, the oldest first.

        Raises:
            RegistryError: if there is no such program.
        """
        check_name(name, "a program")
        hashes = self._entries(_versions_path(name))
        if not hashes:
            known = self.names()
            raise RegistryError(
                f"the registry {self.url!r} has no program {name!r}",
                fix=did_you_mean(name, known) if known else "It is empty: push a program first, or check the URL",
            )
        return tuple(dict.fromkeys(hashes))

    def versions(self, name: str) -> tuple[Version, ...]:
        """Returns a program's versions, the oldest first.

        Raises:
            RegistryError: if there is no such program.
        """
        hashes, labels = self.hashes(name), self.labels(name)
        return tuple(self._version(name, each, hashes, labels) for each in hashes)

    def history(self, name: str, label: str) -> tuple[str, ...]:
        """Returns the hashes that a label was on, the last one last; none where there is no such label."""
        check_name(name, "a program")
        check_label(label)
        return tuple(self._entries(_label_path(name, label)))

    def labels(self, name: str) -> dict[str, str]:
        """Returns label → the hash that it is on."""
        check_name(name, "a program")
        there = [each for each in self._storage.names(_labels_path(name)) if is_name(each) and not is_hash_prefix(each)]
        found = {label: self._entries(_label_path(name, label)) for label in there}
        return {label: hashes[-1] for label, hashes in found.items() if hashes}

    def text_of(self, digest: str) -> str | None:
        """Returns the artifact with a content hash, of whatever program; ``None`` where there is none that is whole."""
        return self._content(digest) if self._is_whole(digest) else None

    def _find(self, reference: str) -> tuple[str, str]:
        """Returns the name and the hash that a reference leads to."""
        wanted = Reference.parse(reference)
        hashes, labels = self.hashes(wanted.name), self.labels(wanted.name)
        if not wanted.version:
            return wanted.name, hashes[-1]
        if wanted.version in labels:
            return wanted.name, labels[wanted.version]
        matching = [each for each in hashes if is_hash_prefix(wanted.version) and each.startswith(wanted.version)]
        if len(matching) == 1:
            return wanted.name, matching[0]
        if matching:
            raise RegistryError(
                f"{reference!r} could be {len(matching)} versions",
                found=", ".join(matching),
                fix="Write more of the hash",
            )
        raise RegistryError(
            f"the registry {self.url!r} has no version {wanted.version!r} of {wanted.name!r}",
            fix=did_you_mean(wanted.version, [*labels, *(each[:12] for each in hashes)]),
        )

    def _version(self, name: str, digest: str, hashes: Sequence[str], labels: Mapping[str, str]) -> Version:
        number = hashes.index(digest) + 1
        on_it = tuple(sorted(label for label, on in labels.items() if on == digest))
        try:
            _, artifact = self._read(name, digest)
            parents = decode_lineage(artifact.lineage, digest).parents
        except (RegistryError, ArtifactError) as error:
            return Version(name, number, digest, on_it, problem=str(error))
        measured = {task: each.test or each.confirmation for task, each in artifact.scores.items()}
        scores = {
            task: Score(each.after.mean, each.after.se, each.after.n)
            for task, each in measured.items()
            if each is not None
        }
        return Version(name, number, digest, on_it, scores, parents)

    def _read(self, name: str, digest: str) -> tuple[str, Artifact]:
        where = f"{name}@{digest[:12]} in the registry {self.url!r}"
        damaged = "Push it again from where it was compiled, which mends it; or pull another version"
        text = self._content(digest)
        if text is None:
            raise RegistryError(f"{where} is not there, though it was pushed", fix=damaged)
        try:
            data = checked_data(text, where)
            if data["hash"] != digest:
                raise RegistryError(f"{where} is another artifact", found=f"hash {data['hash']}", fix=damaged)
            return text, artifact_of(data, where)
        except ArtifactVersionError:
            raise
        except ArtifactError as error:
            raise RegistryError(f"{where} is damaged", found=str(error)[:300].rstrip("."), fix=damaged) from error

    def _is_whole(self, digest: str) -> bool:
        text = self._content(digest)
        try:
            return text is not None and checked_data(text, digest)["hash"] == digest
        except ArtifactError:
            return False

    def _content(self, digest: str) -> str | None:
        content = self._storage.read(_artifact_path(digest))
        return None if content is None else content.decode("utf-8", errors="replace")

    def _put(self, name: str, label: str, digest: str) -> None:
        hashes = self._entries(_label_path(name, label))
        if not hashes or hashes[-1] != digest:
            self._append(_label_path(name, label), digest)

    def _append(self, folder: str, digest: str) -> None:
        last = max((number for number, _ in self._numbered(folder)), default=0)
        self._storage.write(f"{folder}/{last + 1:06}-{digest}", f"{digest}\n")

    def _entries(self, folder: str) -> list[str]:
        return [digest for _, digest in sorted(self._numbered(folder))]

    def _numbered(self, folder: str) -> Iterator[tuple[int, str]]:
        for name in self._storage.names(folder):
            if found := _ENTRY.fullmatch(name):
                yield int(found[1]), found[2]


def _artifact_path(digest: str) -> str:
    return f"artifacts/{digest}.json"


def _versions_path(name: str) -> str:
    return f"programs/{name}/versions"


def _labels_path(name: str) -> str:
    return f"programs/{name}/labels"


def _label_path(name: str, label: str) -> str:
    return f"{_labels_path(name)}/{label}"
