"""The JSON of embeddings: vectors made of hashed words."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct

from fusionprog.lm.model import approximate_tokens
from fusionprog.testing.content import Content


def embedding(text: str, size: int) -> list[float]:
    """Returns a vector of length 1: every word adds or subtracts 1 at a place that its letters decide.

    Texts that share words are near each other; the same text has the same vector in every process.

    Args:
        text: A text.
        size: Numbers in the vector, at least 1.
    """
    counts = [0] * size
    for word in text.lower().split() or [""]:
        drawn = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")
        counts[(drawn >> 1) % size] += 1 if drawn & 1 else -1
    if not any(counts):
        counts[0] = 1
    norm = math.sqrt(sum(count * count for count in counts))
    return [count / norm for count in counts]


def embeddings_body(content: Content, size: int, *, empty: bool = False) -> bytes:
    """Returns the body of an embeddings answer.

    Args:
        content: What was asked; ``dimensions`` and ``encoding_format`` among its parameters are followed.
        size: Numbers in a vector where the request does not say.
        empty: Whether the vectors are left out.
    """
    size = int(content.parameters.get("dimensions") or size)
    as_base64 = content.parameters.get("encoding_format") == "base64"
    texts = [message["content"] for message in content.messages]
    vectors = [] if empty else [embedding(text, size) for text in texts]
    data = [
        {
            "object": "embedding",
            "index": place,
            "embedding": base64.b64encode(struct.pack(f"<{size}f", *vector)).decode() if as_base64 else vector,
        }
        for place, vector in enumerate(vectors)
    ]
    tokens = sum(map(approximate_tokens, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": content.model, "usage": usage}
    return json.dumps(body, separators=(",", ":")).encode()
