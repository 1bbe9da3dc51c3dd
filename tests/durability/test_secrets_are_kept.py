"""Keys, headers and credentials in URLs appear in no store, journal, artifact, message or log."""

from __future__ import annotations

import base64
import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from fusionprog.testing import Fault, error
from tests.durability.commands import Ended
from tests.durability.scene import Scene

KEY = "sk-proj-7Qm2xV9tRb4Lw8Zc"
ODD_KEY = "u5er:k3y/with+odd=signs"
HEADER = "tenant-5f0d1c7e-secret"
USER, PASSWORD = "deskuser", "p4ssw0rd-of-the-desk"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (KEY, ODD_KEY, urllib.parse.quote(ODD_KEY, safe=""), HEADER, PASSWORD, BASIC)

ECHO = {
    "native": f"Incorrect API key provided: {KEY}, not {ODD_KEY}; Authorization: Bearer {KEY}",
    "litellm": f"Incorrect API key provided: {KEY}, not {ODD_KEY}; X-Tenant: {HEADER}; X-Key={ODD_KEY}",
}
IMPATIENT = ("--timeout", "1", "--retries", "1")


def secret_lm(scene: Scene, engine: str, **changes: str) -> str:
    """The arguments of an LM that has a secret in every place that takes one."""
    lm: dict[str, Any] = {"api_key": KEY, "api_base": scene.server.url}
    if engine == "litellm":
        lm |= {"engine": "litellm", "extra_headers": {"X-Tenant": HEADER, "X-Key": ODD_KEY}}
    return json.dumps(lm | changes)


def with_credentials(url: str) -> str:
    return url.replace("http://", f"http://{USER}:{PASSWORD}@")


def check_kept(folder: Path, ended: Ended) -> None:
    """Looks for every secret in every byte that was left behind."""
    left = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    left |= {"stdout": ended.out.encode(), "stderr": ended.err.encode()}
    found = [(name, secret) for name, text in left.items() for secret in SECRETS if secret.encode() in text]
    assert found == []


def compiled(scene: Scene, folder: Path, lm: str, *options: str, **environment: str) -> Ended:
    log = {"DESK_LOG": str(folder / "debug.log")}
    return scene.compile(folder, *options, DESK_LM=lm, **log, **environment)


@pytest.mark.parametrize("engine", ["native", "litellm"])
def test_a_compile_that_ends_well(scene: Scene, tmp_path: Path, engine: str) -> None:
    ended = compiled(scene, tmp_path, secret_lm(scene, engine), OPENAI_API_KEY=ODD_KEY)
    assert ended.code == 0, ended.err
    assert (tmp_path / "debug.log").stat().st_size > 0
    check_kept(tmp_path, ended)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize("engine", ["native", "litellm"])
def test_an_error_that_echoes_them(scene: Scene, tmp_path: Path, engine: str, status: int) -> None:
    scene.server.next(error(status, "odd_request", ECHO[engine]), times=None)
    check_refused(scene, tmp_path, engine)


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.CUT, Fault.MALFORMED])
@pytest.mark.parametrize("engine", ["native", "litellm"])
def test_a_connection_that_fails(scene: Scene, tmp_path: Path, engine: str, fault: Fault) -> None:
    scene.server.next(fault, times=None)
    check_refused(scene, tmp_path, engine)


def check_refused(scene: Scene, folder: Path, engine: str) -> None:
    ended = compiled(scene, folder, secret_lm(scene, engine), *IMPATIENT, OPENAI_API_KEY=ODD_KEY)
    assert ended.code == 3 and "error: " in ended.err
    check_kept(folder, ended)


@pytest.mark.parametrize("engine", ["native", "litellm"])
@pytest.mark.parametrize("listens", [True, False], ids=["served", "nobody listens"])
def test_credentials_in_the_endpoint(scene: Scene, tmp_path: Path, engine: str, listens: bool) -> None:
    """Not every client can use them, and none may show them."""
    base = with_credentials(scene.server.url if listens else "http://127.0.0.1:9/v1")
    ended = compiled(scene, tmp_path, secret_lm(scene, engine, api_base=base), *IMPATIENT)
    assert (ended.code == 3 and "error: " in ended.err) or (listens and ended.code == 0)
    check_kept(tmp_path, ended)


@pytest.mark.parametrize("status", [0, 401, 500])
def test_the_environment_s_key_and_endpoint(scene: Scene, tmp_path: Path, status: int) -> None:
    """An LM that is given nothing takes both from there."""
    if status:
        scene.server.next(error(status, message=ECHO["native"].replace(ODD_KEY, "another")), times=None)
    base = scene.server.url
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_API_BASE": base, "OPENAI_BASE_URL": base}
    ended = compiled(scene, tmp_path, json.dumps({"api_key": None, "api_base": None}), *IMPATIENT, **environment)
    assert ended.code == (3 if status else 0), ended.err
    assert scene.asked()
    check_kept(tmp_path, ended)
