"""A provider on this machine, and models that answer from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Provider:
    """An OpenAI-compatible endpoint on loopback; ``content``, or ``status`` and ``body``, are what it says next."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] = {}
        self.content: str | None = "pong"
        self.usage: dict[str, Any] | None = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                provider.requests.append(json.loads(self.rfile.read(length)))
                provider.keys.append(self.headers["Authorization"])
                answer: dict[str, Any] = {
                    "id": "1",
                    "object": "chat.completion",
                    "model": "m",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": provider.content},
                            "finish_reason": "stop",
                        }
                    ],
                }
                if provider.usage is not None:
                    answer["usage"] = provider.usage
                data = json.dumps(answer if provider.status == 200 else provider.body).encode()
                self.send_response(provider.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None: ...

        return Handler


@pytest.fixture
def provider() -> Iterator[Provider]:
    """An endpoint that answers ``pong``."""
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()
