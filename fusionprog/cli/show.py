"""``fusionprog show``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from fusionprog.cli.artifact_file import load_program
from fusionprog.cli.terminal import inert, plain_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    import fusionprog as fp


@click.command("show")
@click.argument("artifact", type=click.Path())
@click.option("--task", help="Only this task.")
@click.option("--node", help="Only this node.")
@click.option("--prompt", is_flag=True, help="The exact messages, each line tagged with its item.")
@click.option("--effects", is_flag=True, help="All that was learned of every item, not the best and worst few.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show_command(artifact: str, task: str | None, node: str | None, prompt: bool, effects: bool, as_json: bool) -> None:
    """Show what a compiled program does and what its search learned.

    What it was made from, its scores, every node's mixtures and gates, its prompts; the effects of items, interference
    between tasks, importance of parameters, the learning curve, and break-even.
    """
    program = load_program(artifact)
    if task is not None:
        program = program[task]
    if prompt:
        _show_prompts(program, node, as_json)
    elif as_json:
        _show_json(program, node)
    else:
        _show_tables(program, node, effects)


def _nodes(program: fp.CompiledProgram, node: str | None) -> list[tuple[str, str]]:
    pairs = [(task, name) for task, part in program.tasks.items() for name in part.mixtures if node in (None, name)]
    if not pairs:
        program.rendered(next(iter(program.tasks)), str(node))  # raises, naming the nodes that there are
    return pairs


def _show_prompts(program: fp.CompiledProgram, node: str | None, as_json: bool) -> None:
    shown: list[tuple[str, str, Any]] = []
    for task, name in _nodes(program, node):
        if name not in program.asking(task):
            shown.append((task, name, None))
            continue
        prompt = program.rendered(task, name)
        inputs = {field: f"{{{field}}}" for field in prompt.signature.input_fields}
        shown.append((task, name, prompt.tagged(inputs)))
    if as_json:
        data = [
            {
                "task": task,
                "node": name,
                "messages": [
                    {"role": role, "lines": [{"text": line.text, "item": line.item} for line in lines]}
                    for role, lines in messages or ()
                ],
            }
            for task, name, messages in shown
        ]
        click.echo(json.dumps(data, ensure_ascii=False))
        return
    for task, name, messages in shown:
        if messages is None:
            click.secho(f"{task} · {name} · switched off", bold=True)
            continue
        width = max((len(line.item or "") for _, lines in messages for line in lines), default=0)
        for role, lines in messages:
            click.secho(f"{task} · {name} · {role}", bold=True)
            for line in lines:
                click.echo(f"{line.item or '':{width}} │ {inert(line.text)}")


def _show_json(program: fp.CompiledProgram, node: str | None) -> None:
    from fusionprog.artifacts.program_codec import encode_program
    from fusionprog.cli.learned import effect_shown, learned_data
    from fusionprog.cli.pairs import pairs_of

    data, nodes = encode_program(program), _nodes(program, node)
    wanted = set(nodes)
    mixtures = {
        task: {name: mixture for name, mixture in nodes.items() if (task, name) in wanted}
        for task, nodes in data["mixtures"].items()
    }
    for task, name in nodes:
        for items in mixtures.get(task, {}).get(name, {}).get("facets", {}).values():
            for each in items:
                each["effect"] = effect_shown(program, task, name, each["item"], each["effect"])
    settings: dict[str, dict[str, Any]] = {}
    for task, name in nodes:
        settings.setdefault(task, {})[name] = _plain_settings(program, task, name)
    choices = {name: dict(mine) for name, mine in _choices(program).items() if node in (None, name)}
    shown = {"hash": program.content_hash, "lineage": data.get("lineage")}
    shown |= {"scores": data["scores"], "compile": data["compile"], "mixtures": mixtures}
    shown |= {"settings": settings, "choices": choices}
    shown["pairs"] = [asdict(pair) for pair in pairs_of(program, nodes)]
    click.echo(json.dumps({**shown, **learned_data(program, data.get("learned"), node)}))


def _plain_settings(program: fp.CompiledProgram, task: str, node: str) -> dict[str, Any]:
    found = program.schedule.settings(node, task)
    return {"format": found.format, "temperature": found.temperature, "choices": dict(found.choices)}


def _show_tables(program: fp.CompiledProgram, node: str | None, effects: bool) -> None:
    from rich.table import Table

    from fusionprog.cli.learned import effect_shown, learned_parts
    from fusionprog.cli.lineage import lineage_lines
    from fusionprog.cli.pairs import pair_lines, pairs_of
    from fusionprog.cli.summary import growth_lines, objective_lines, score_lines
    from fusionprog.modules import DSPyCode
    from fusionprog.prompts.schedule import FORMATS

    nodes = _nodes(program, node)
    console = plain_console()
    console.print(f"{inert(program.graph.name)}: {' → '.join(program.graph.order())}", style="bold", soft_wrap=True)
    for line in lineage_lines(program.record.lineage):
        console.print(line, soft_wrap=True)
    for module in (place.module for place in program.graph.nodes.values()):
        if isinstance(module, DSPyCode):
            console.print(f"runs the code of the dspy.Module {module.name!r}: load it with module=")
    for name, source in program.graph.guards.items():
        console.print(inert(f"{name} = {source}"), soft_wrap=True)
    for line in score_lines(program.record, program.tasks):
        console.print(inert(line), soft_wrap=True)
    if len(program.tasks) == len(program.record.tasks):
        for line in [*growth_lines(program.record), *objective_lines(program.record)]:
            console.print(inert(line), soft_wrap=True)
        if program.record.front:
            console.print(_front_table(program))
    for task, name in nodes:
        mixture = program.tasks[task].mixtures[name]
        settings = program.schedule.settings(name, task)
        chosen = "".join(f", {choice} {option}" for choice, option in sorted(settings.choices.items()))
        title = f"{task} · {name} (format {settings.format}, temperature {settings.temperature:g}{chosen})"
        table = Table(title=inert(title), title_justify="left")
        for column in ("facet", "gate", "item", "used", "weight", "effect"):
            table.add_column(column, justify="right" if column in ("gate", "used", "weight", "effect") else "left")
        for facet, items in mixture.facets.items():
            for each in items:
                if each.open or each.amount:
                    gate = f"{mixture.gates.get(facet, 0.0):.2f}"
                    used = str(each.amount or "")
                    effect = effect_shown(program, task, name, each.id, each.effect)
                    table.add_row(facet, gate, each.id, used, f"{each.weight:.2f}", f"{effect:+.2f}")
        if table.row_count:
            console.print(table)
        else:
            form = "" if settings.format == FORMATS[0] else f", format {settings.format}"
            console.print(inert(f"{task} · {name}: {f'{form}{chosen}'.removeprefix(', ') or 'as written'}"))
    for line in pair_lines(pairs_of(program, nodes), len(program.tasks), effects):
        console.print(inert(line), soft_wrap=True)
    for name, choices in _choices(program).items():
        if node in (None, name) and not program.graph.nodes[name].asks_model:
            console.print(inert(f"{name}: {', '.join(f'{each} {option}' for each, option in choices.items())}"))
    for part in learned_parts(program, node, effects):
        console.print(part, soft_wrap=isinstance(part, str))
    if not effects and program.record.learned is not None:
        console.print("all items: --effects; one task or node: --task, --node; all numbers: --json", style="dim")


def _choices(program: fp.CompiledProgram) -> dict[str, Mapping[str, str]]:
    """Node → what is picked there, where anything is; of tasks that differ, the last one's."""
    return {node: mine for task in program.tasks for node, mine in program.schedule.picks(task).items()}


def _front_table(program: fp.CompiledProgram) -> Table:
    from rich.table import Table

    table = Table(title="traded off (per call, on confirmation)", title_justify="left")
    for column in ("program", "quality", "tokens", "usd", "latency", "returned"):
        table.add_column(column, justify="left" if column in ("program", "returned") else "right")
    for point in program.record.front:
        name = point.program if point.program == "as written" else point.program[:8]
        usd = "" if point.usd is None else f"{point.usd:.6f}"
        quality = f"{point.quality:.3f} ± {point.se:.3f}"
        returned = "yes" if point.chosen else ""
        table.add_row(inert(name), quality, f"{point.tokens:,.0f}", usd, f"{point.latency:,.0f}", returned)
    return table
