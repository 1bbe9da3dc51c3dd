"""What is on offer where: every item's text or demonstrations, for every node and task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fusionprog._internal.canonical import jsonable, seed_of
from fusionprog._internal.registry import did_you_mean
from fusionprog.builders.demonstrations import BalancedDemos, BootstrappedDemos, ClusteredDemos
from fusionprog.builders.glossary import LabelGlossary
from fusionprog.errors import PoolError
from fusionprog.program.signature import SignatureType, closed_choice
from fusionprog.program.task import Task, TaskProgram
from fusionprog.prompts.items import BuildContext, Content, Demo, DemoSet, Family, Fragment, Item, check_text


def default_families() -> tuple[Family, ...]:
    """Returns the families that a compile without a pool uses."""
    return (
        LabelGlossary(words=8),
        LabelGlossary(words=16),
        BalancedDemos(per_label=1),
        BalancedDemos(per_label=3),
        ClusteredDemos(count=8),
        BootstrappedDemos(count=8),
    )


def offers(
    pool: Sequence[Item],
    task: Task,
    program: TaskProgram,
    nodes: Sequence[str],
    traces: Mapping[str, Sequence[Demo]],
    seed: int,
) -> dict[str, dict[str, Content]]:
    """Returns node → item → text or demonstrations, in one task.

    Args:
        pool: The items.
        task: The task; families read its training rows.
        program: The program as the task sees it.
        nodes: The nodes to make offers for.
        traces: Node → inputs and outputs in successful runs of the program as written.
        seed: For builders that draw.

    Raises:
        PoolError: if a demonstration does not fit its node's signature in this task, or a family makes something
            else than its facet says.
    """
    made: dict[str, dict[str, Content]] = {}
    for node in nodes:
        signature = program.prompted(node)
        assert signature is not None
        context = BuildContext(
            node=node,
            task=task.name,
            signature=signature,
            rows=tuple(program.node_row(node, row.columns) for row in task.rows["train"]),
            traces=tuple(traces.get(node, ())),
            seed=seed_of(seed, task.name, node),
        )
        contents = {item.id: _content(item, task, context) for item in pool if item.offered(node, task.domain)}
        made[node] = {item: content for item, content in contents.items() if content}
    return made


def _content(item: Item, task: Task, context: BuildContext) -> Content | None:
    if isinstance(item, Fragment):
        return item.text_in(task.domain)
    if isinstance(item, DemoSet):
        check_demos(item.demos, context.signature, f"demonstration set {item.id!r}, task {task.name!r}")
        return item.demos
    assert isinstance(item, Family)
    if item.reveals_rows and task.private:
        return None
    made = item.build(context)
    if not made:
        return None
    where = f"family {item.id!r}, task {task.name!r}, node {context.node!r}"
    if item.facet != "demos":
        return check_text(made, where)
    if isinstance(made, str):
        raise PoolError(f"{where} made a text", expected="demonstrations", found=repr(made)[:80])
    check_demos(made, context.signature, where)
    return made


def check_demos(demos: Sequence[Demo], signature: SignatureType, where: str) -> None:
    """Checks that demonstrations use the node's fields and labels as they are.

    Raises:
        PoolError: if one names an unknown field, a label outside of the label set, or no input or no output.
    """
    choices = {name: closed_choice(field.annotation) for name, field in signature.output_fields.items()}
    for index, demo in enumerate(demos):
        for name, value in demo.items():
            if name not in signature.fields:
                raise PoolError(
                    f"{where}, demonstration {index}: the node has no field {name!r}",
                    fix=did_you_mean(name, signature.fields),
                )
            labels = choices.get(name)
            given = jsonable(value)
            for label in given if isinstance(given, list) else [given]:
                if labels and label is not None and label not in labels:
                    raise PoolError(
                        f"{where}, demonstration {index}: {label!r} is no label of {name!r}",
                        fix=f"{did_you_mean(str(label), map(str, labels))}. Where labels differ from task to task, "
                        "say with domains=[...] which ones the demonstrations are for",
                    )
        if not any(name in demo for name in signature.input_fields) or not any(
            name in demo for name in signature.output_fields
        ):
            raise PoolError(f"{where}, demonstration {index} needs an input and an output field", found=repr(demo)[:80])
