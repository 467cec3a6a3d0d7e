"""Whether a target takes a model: what the recipe says beforehand, and the written file itself."""

from __future__ import annotations

from pathlib import Path

from edge_retina.errors import ConfigError, ExportError
from edge_retina.export.targets.target import Rule, Target
from edge_retina.int8.recipe import Recipe
from edge_retina.runtime.graph import Graph, OperatorInfo, read_graph
from edge_retina.runtime.tensor_contract import shape_text


def check_recipe(target: Target, recipe: Recipe) -> None:
    """Refuse a recipe that leaves anything but int8 where a target computes in int8 alone.

    Args:
        target: of the table.
        recipe: by which the RUN's int8 model was quantised.

    Raises:
        ConfigError: names what the recipe leaves, and what to do.
    """
    if target.precision != "int8":
        return
    left = _left_by(recipe)
    if left:
        raise ConfigError(
            f"target {target.name} takes int8 from end to end, but the recipe of the int8 model "
            f"has {left}; quantise again with the default recipe, or leave the target out"
        )


def _left_by(recipe: Recipe) -> str:
    if recipe.activations != "int8":
        return f'activations = "{recipe.activations}"'
    if recipe.weights == "float":
        return 'weights = "float"'
    for rule in recipe.layers:
        for part in ("activations", "weights"):
            if getattr(rule, part) == "float":
                return f'{part} = "float" for the layers {rule.match!r}'
    return ""


def check_file(path: Path, target: Target) -> None:
    """Hold a written file against a target's rules.

    Raises:
        ExportError: names the first operator that breaks one, its tensor, the rule and its source.
    """
    graph = read_graph(path)
    for place, operator in enumerate(graph.operators):
        for rule in target.rules:
            reason = rule.broken_by(graph, operator)
            if reason:
                raise ExportError(
                    f"{path.name}: target {target.name} can't run operator {place}, "
                    f"{_describe(graph, operator)}: {reason}; it takes only {rule.says} "
                    f"({rule.source}); export without this target, and please report it with the "
                    "config"
                )


def broken_rules(graph: Graph, target: Target) -> list[tuple[OperatorInfo, Rule, str]]:
    """Return every operator of a graph that breaks a rule, with the rule and the reason."""
    return [
        (operator, rule, reason)
        for operator in graph.operators
        for rule in target.rules
        if (reason := rule.broken_by(graph, operator))
    ]


def _describe(graph: Graph, operator: OperatorInfo) -> str:
    if not operator.outputs:
        return operator.name
    tensor = graph.tensors[operator.outputs[0]]
    return f"{operator.name} to '{tensor.name}' {shape_text(tensor.shape)} {tensor.dtype}"
