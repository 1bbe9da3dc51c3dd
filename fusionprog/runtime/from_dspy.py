"""``from_dspy``: an ordinary ``dspy.Module`` as a program that can be compiled."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import dspy
from pydantic.errors import PydanticUserError

from fusionprog._internal.registry import did_you_mean
from fusionprog.errors import ProgramError
from fusionprog.lm.dspy_predictors import predictors_of
from fusionprog.modules.dspy_code import DSPyCode
from fusionprog.modules.predict import Predict
from fusionprog.program.calling import called_nodes, let_call
from fusionprog.program.graph import InputRef, ProgramGraph, ProgramInput
from fusionprog.program.signature import InputField, OutputField, Signature, SignatureType
from fusionprog.program.types import checked_constant, classes_in, type_name

FORWARD = "forward"
_INDEX = re.compile(r"\[(?:(\d+)|'([^']*)'|\"([^\"]*)\")\]")


def from_dspy(
    module: Any,
    *,
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    calls: int | Mapping[str, int] = 1,
    version: str = "1",
) -> ProgramGraph:
    """Returns a program whose nodes are the predictors of a ``dspy.Module``, and whose control flow is its ``forward``.

    ``forward`` runs as it is, once per example, with any branches and loops. What its predictors say when it begins,
    instructions and demonstrations, is the program as written; from then on the search decides it. The artifact keeps
    prompts, never code: ``fusionprog.load(path, module=module)`` binds it again.

    Args:
        module: The module; it is not changed. Its predictors are made in ``__init__``.
        inputs: Input name → type; if not given, read from the parameters of ``forward``, or where these are
            ``**inputs`` from the module's ``signature``.
        outputs: Output name → type: what ``forward`` returns and metrics see, checked in every run. If not given, it is
            whatever ``forward`` returns, of any type.
        calls: How often ``forward`` calls a predictor for one example at most: one number for all, or node → number (1
            where a node is not named). Budgets reserve as many calls; more are an error.
        version: Changes when the code's answers change; part of a study's fingerprint.

    Returns:
        A graph with a node for every predictor, named by its path (``steps[0].predict`` is ``steps.0.predict``), and
        the node ``forward`` that calls them.

    Raises:
        ProgramError: if the module has no predictors, one of them has what fusionprog cannot keep (types of DSPy such
            as ``dspy.Image``, ``dspy.History`` and ``dspy.Tool``; settings of its own), or its inputs cannot be read.

    Example:
        >>> import dspy, fusionprog as fp
        >>> list(fp.from_dspy(dspy.ChainOfThought("question -> answer")).nodes)
        ['predict', 'forward']
    """
    if not isinstance(module, dspy.Module):
        is_class = isinstance(module, type) and issubclass(module, dspy.Module)
        raise ProgramError(
            "from_dspy was given no dspy.Module",
            found=f"the class {module.__name__}" if is_class else type(module).__name__,
            fix=f"Write fusionprog.from_dspy({module.__name__}())" if is_class else "Pass one",
        )
    name = type(module).__name__
    predictors = predictor_nodes(module)
    graph = ProgramGraph(name)
    graph.inputs.update(_inputs(module, predictors.values(), inputs))
    for node, predictor in predictors.items():
        _check_predictor(node, predictor)
        graph.add(node, Predict(predictor.signature, demos=_demos(predictor)))
    code = DSPyCode(
        _signature(name, graph.inputs, _outputs(predictors.values(), graph.inputs) if outputs is None else outputs),
        name=name,
        version=version,
        open_outputs=outputs is None,
    )
    code.bind(module, predictors)
    graph.add(FORWARD, code)
    for key in graph.inputs:
        graph.link(InputRef(key), FORWARD, key)
    named = calls if isinstance(calls, Mapping) else dict.fromkeys(predictors, calls)
    for node in named:
        if node not in predictors:
            raise ProgramError(f"calls names an unknown node {node!r}", fix=did_you_mean(str(node), predictors))
    for node in predictors:
        let_call(graph, FORWARD, node, named.get(node, 1))
    graph.validate()
    return graph


def bind_module(graph: ProgramGraph, module: Any) -> None:
    """Binds the code of a ``dspy.Module`` to a program that was loaded without it.

    Raises:
        ProgramError: if the program needs none, or the module is not like the one that it was compiled from.
    """
    callers = [(name, node.module) for name, node in graph.nodes.items() if isinstance(node.module, DSPyCode)]
    if not callers:
        raise ProgramError("module= is given, and the program needs no module", fix="Leave it out")
    predictors = predictor_nodes(module)
    for name, code in callers:
        called = called_nodes(graph, name)
        for node in called:
            found = predictors.get(node)
            wanted = graph.nodes[node].signature.fields
            if found is None or sorted(found.signature.fields) != sorted(wanted):
                raise ProgramError(
                    f"the dspy.Module is not like the one that {graph.name!r} was compiled from",
                    expected=f"a predictor {node!r} with the fields {sorted(wanted)}",
                    found=f"the fields {sorted(found.signature.fields)}"
                    if found
                    else f"predictors {sorted(predictors)}",
                    fix="Pass the module as it was compiled, or compile it again",
                )
        code.bind(module, {node: predictors[node] for node in called})


def predictor_nodes(module: Any) -> dict[str, Any]:
    """Returns node → ``dspy.Predict`` of a module.

    Raises:
        ProgramError: if it has none, or two get one name.
    """
    nodes: dict[str, Any] = {}
    for path, predictor in predictors_of(module).items():
        node = _INDEX.sub(lambda found: f".{next(each for each in found.groups() if each is not None)}", path)
        if node in nodes or node == FORWARD:
            raise ProgramError(f"two nodes are named {node!r}", fix=f"Rename what holds the predictor {path!r}")
        nodes[node] = predictor
    return nodes


def classes_of(module: Any) -> dict[str, type]:
    """Returns the user's own classes in the signatures of a module's predictors, by name."""
    signatures = [predictor.signature for predictor in predictors_of(module).values()]
    annotations = [field.annotation for signature in signatures for field in signature.fields.values()]
    return {kind.__name__: kind for kind in classes_in(annotations) if not kind.__module__.startswith("builtins")}


def _check_predictor(node: str, predictor: Any) -> None:
    for field_name, each in predictor.signature.fields.items():
        for kind in classes_in([each.annotation]):
            if issubclass(kind, (dspy.Type, dspy.History)):
                raise ProgramError(
                    f"{node}.{field_name} has a type of DSPy that fusionprog cannot keep",
                    found=type_name(kind),
                    fix="Use plain types in the signatures that are to be compiled",
                )
    if own := [name for name in predictor.config if name != "rollout_id"]:
        raise ProgramError(
            f"the predictor {node!r} has settings of its own",
            found=", ".join(own),
            fix=f"Set them on its model: lm={{{node!r}: lm.copy({own[0]}=...), ...}}, or predictor.lm = lm.copy(...)",
        )
    if predictor.fields:
        raise ProgramError(f"the predictor {node!r} has decision criteria, which fusionprog cannot keep")


def _demos(predictor: Any) -> list[dict[str, Any]]:
    """The demonstrations that DSPy would show: those with an input and an output, without what no field names."""
    signature, demos = predictor.signature, []
    for demo in predictor.demos:
        kept = {name: demo[name] for name in signature.fields if name in demo}
        if not kept.keys().isdisjoint(signature.input_fields) and not kept.keys().isdisjoint(signature.output_fields):
            demos.append(kept)
    return demos


def _inputs(module: Any, predictors: Iterable[Any], given: Mapping[str, Any] | None) -> dict[str, ProgramInput]:
    if given is not None:
        return {name: ProgramInput(name, annotation) for name, annotation in given.items()}
    advice = "Pass inputs={'name': type, ...}"
    kind = type(module)
    try:
        forward = kind.forward if hasattr(kind, "forward") else kind.aforward
        parameters = list(inspect.signature(forward, eval_str=True).parameters.values())[1:]
    except (TypeError, ValueError, NameError, AttributeError) as error:
        raise ProgramError("the inputs of forward() cannot be read", found=str(error), fix=advice) from error
    if [each.kind for each in parameters] == [inspect.Parameter.VAR_KEYWORD]:
        # dspy.ReAct and its like take what their signature says, dspy.ChainOfThought what its one predictor takes.
        own, signatures = getattr(module, "signature", None), [each.signature for each in predictors]
        if isinstance(own, type) and issubclass(own, dspy.Signature):
            return _of_signature(own)
        if len(signatures) == 1:
            return _of_signature(signatures[0])
    if not parameters or any(each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY) for each in parameters):
        raise ProgramError(
            "the inputs of forward() cannot be read from its parameters",
            expected="named parameters",
            found=", ".join(map(str, parameters)) or "none",
            fix=advice,
        )
    made = {}
    for each in parameters:
        annotation = None if each.annotation is each.empty else each.annotation
        required = each.default is each.empty
        if not required:
            checked_constant(each.default, None, f"the default of the input {each.name!r}")
        made[each.name] = ProgramInput(each.name, annotation, required, None if required else each.default)
    return made


def _of_signature(signature: SignatureType) -> dict[str, ProgramInput]:
    return {
        name: ProgramInput(
            name,
            field.annotation,
            field.is_required(),
            None if field.is_required() else field.get_default(call_default_factory=True),
        )
        for name, field in signature.input_fields.items()
    }


def _outputs(predictors: Iterable[Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What ``forward`` may return where nobody says: the fields that predictors make, of any type."""
    names = [name for predictor in predictors for name in predictor.signature.output_fields if name not in inputs]
    return dict.fromkeys(names, Any)


def _signature(name: str, inputs: Mapping[str, ProgramInput], outputs: Mapping[str, Any]) -> SignatureType:
    if both := sorted(set(inputs) & set(outputs)):
        raise ProgramError(f"{name} has an input and an output named {both[0]!r}", fix="Name the output otherwise")
    fields = {key: (Any if each.annotation is None else each.annotation, InputField()) for key, each in inputs.items()}
    fields |= {key: (kind, OutputField()) for key, kind in outputs.items()}
    try:
        made: SignatureType = Signature(fields, f"The forward() of the dspy.Module {name}.")
    except (ValueError, TypeError, NameError, PydanticUserError) as error:
        raise ProgramError(
            f"{name} has inputs or outputs that cannot be used",
            expected="names without a leading underscore, and types such as str or list[str]",
            found=str(error).splitlines()[0],
        ) from error
    return made
