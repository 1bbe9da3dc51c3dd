"""The server in a process of its own: it answers, counts, and ends with its parent."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import dspy
import pytest

from fusionprog.lm.dspy_lm import DSPyModel
from fusionprog.testing import Faults
from fusionprog.testing.server_process import ServerProcess

MODULE = "fusionprog.testing.server_process"


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # ended, and nobody has waited for it


def ask(url: str, prompt: str) -> str:
    async def main() -> str:
        lm = dspy.LM("openai/m", api_base=url, api_key="x", cache=False)
        answer = await DSPyModel(lm).complete(({"role": "user", "content": prompt},))
        await lm.aclose()
        return answer.text

    return asyncio.run(main())


def test_it_answers_and_counts() -> None:
    with ServerProcess([("parcel", "delivery"), ("", "billing")], faults=Faults(latency=0.001)) as server:
        assert [ask(server.url, prompt) for prompt in ("my parcel", "my card")] == ["delivery", "billing"]
    assert server.counts == {"ok": 2}


def test_faults_go_along() -> None:
    with ServerProcess(faults=Faults(server_error=1.0, at_most=None)) as server:
        with pytest.raises(Exception, match="had an error"):
            ask(server.url, "hello")
    assert server.counts == {"server_error": 1}


def test_there_is_no_address_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = ServerProcess().url


def test_a_server_that_cannot_start_says_so() -> None:
    with pytest.raises(RuntimeError, match="did not start"), ServerProcess([("(", "no pattern")]):
        raise AssertionError("it has started")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_it_ends_when_its_parent_is_killed(until: Callable[[Callable[[], object]], None]) -> None:
    code = (
        f"from {MODULE} import ServerProcess\n"
        "import time\n"
        "with ServerProcess([('', 'x')]) as server:\n"
        "    print(server._process.pid, server.url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        number, url = parent.stdout.readline().split()
        with urllib.request.urlopen(f"{url}/models") as answer:
            assert json.load(answer)["object"] == "list"
        parent.kill()
        parent.wait(20)
    until(lambda: not alive(int(number)))


def test_the_command_serves_a_script_and_prints_what_it_counted(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('[["parcel", "delivery"]]')
    command = [sys.executable, "-m", MODULE, "--script", str(path), "--latency", "0.001"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert ask(process.stdout.readline().strip(), "my parcel") == "delivery"
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(20) == 0
    assert json.loads(said) == {"ok": 1}
