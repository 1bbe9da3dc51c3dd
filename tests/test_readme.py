"""What the README shows runs as it is printed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import fusionprog as fp
from fusionprog.cli.main import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

_WORDS = {
    "shop": {
        "billing": "invoice voucher charge",
        "delivery": "parcel courier doorstep",
        "technical": "login app crash",
    },
    "bank": {"cards": "plastic contactless pin", "loans": "mortgage borrow repay", "fraud": "scam stolen phishing"},
}


def _write_data(folder: Path) -> None:
    for domain, labels in _WORDS.items():
        (folder / domain).mkdir()
        for offset, split in enumerate(("train", "val", "test")):
            rows = [
                {"message": f"{split} {index}: something about the {word} here", "team": team}
                for team, words in labels.items()
                for index, word in enumerate(words.split() * (5 + offset))
            ]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / domain / f"{split}.jsonl").write_text(text, encoding="utf-8")


def test_the_program_in_the_readme_compiles_saves_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    offline = code.replace('lm="openai/gpt-4o-mini"', 'lm="offline"').replace("calls=4000", "calls=600")
    assert offline.count('lm="offline"') == 1
    _write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "desk_program.py").write_text(offline, encoding="utf-8")  # so that forward's source can be read
    names: dict[str, object] = {}
    exec(compile(offline, str(tmp_path / "desk_program.py"), "exec", dont_inherit=True), names)
    desk = names["desk"]
    assert isinstance(desk, fp.CompiledProgram)
    assert set(desk.tasks) == {"shop", "bank"}
    assert desk("shop", message="where is my parcel?").team in {"billing", "delivery", "technical"}
    assert desk["bank"](message="a scam").team in {"cards", "loans", "fraud"}
    assert (tmp_path / "desk.json").is_file()
    assert (tmp_path / "desk.db").is_file()


def test_every_command_of_the_readme_is_known_with_its_options() -> None:
    shells = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    commands = re.findall(r"^(?:.*&& )?(fusionprog [^#&\n]*)", shells, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        _, name, *rest = shlex.split(command)
        options = {option.split("=")[0] for option in rest if option.startswith("-")}
        known = {text for option in cli.commands[name].params for text in option.opts}
        assert options <= known, command


def test_options_in_the_table_of_commands_exist() -> None:
    for name, row in re.findall(r"^\| `fusionprog ([\w-]+)[^`]*` \|(.*)\|$", README, re.MULTILINE):
        known = {text for option in cli.commands[name].params for text in option.opts}
        for option in re.findall(r"`(--[a-z-]+)", row):
            assert option in known, (name, option)


def test_help_lists_every_command_of_the_readme() -> None:
    text = CliRunner().invoke(cli, ["--help"]).output
    for name in re.findall(r"^\| `fusionprog ([\w-]+)", README, re.MULTILINE):
        assert f"\n  {name} " in text
    assert "Exit codes" in text


def test_links_of_the_readme_lead_to_files() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
