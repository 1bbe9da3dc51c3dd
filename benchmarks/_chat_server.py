"""A chat-completions server that does as little as it can: ``python _chat_server.py LATENCY`` prints its port.

For every line that it reads it prints how many calls and messages there have been since the last one.
"""

from __future__ import annotations

import asyncio
import json
import sys

from _desk import VALUES
from _engines import Answers

ANSWERS = Answers(VALUES)


class Connection(asyncio.Protocol):
    """Answers the requests of one client, which it keeps connected.

    Args:
        latency: Seconds that an answer takes.
    """

    calls = 0
    messages = 0

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Reads on, and answers what is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            answer = _answer(body)
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)


def _answer(body: bytes) -> bytes:
    asked = json.loads(body)
    messages = asked["messages"]
    Connection.calls += 1
    Connection.messages += len(messages)
    text = ANSWERS.text(_text(messages[0]["content"]), len(messages) - 1, _text(messages[-1]["content"]))
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 300, "completion_tokens": 10, "total_tokens": 310}
    made = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice]}
    data = json.dumps({**made, "usage": usage}).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data)
    return head + data


def _text(content: str | list[dict[str, str]]) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


async def main() -> None:
    """Serves until its standard input is closed."""
    loop, latency = asyncio.get_running_loop(), float(sys.argv[1])
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(Connection.calls, Connection.messages, flush=True)
        Connection.calls = Connection.messages = 0
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
