"""Every operation has the same name and arguments in each of its forms, so that one can stand in for another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import flashvsr.kernels

PLAIN = Path(flashvsr.kernels.__file__).parent
# Attention has three forms for GPUs, one for each way to compute it.
OTHER_FORMS = {"hopper_attention": "block_sparse_attention", "extension_attention": "block_sparse_attention"}
HOW_IT_IS_CUT = {"tile", "plan"}


def functions(file: Path) -> dict[str, list[str]]:
    """Public functions of a module that the host calls, each with its parameters as they are written."""
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not node.decorator_list:
            given = node.args
            defaults = [None] * (len(given.args) - len(given.defaults)) + list(given.defaults)
            pairs = [*zip(given.args, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
            found[node.name] = [
                f"{argument.arg}: {ast.unparse(argument.annotation)} = {default and ast.unparse(default)}"
                for argument, default in pairs
                if argument.annotation and not (argument.arg in HOW_IT_IS_CUT and default)
            ]
    return found


def forms() -> list[tuple[str, str]]:
    """Names of modules for GPUs, and of the plain ones that they are forms of."""
    names = [file.stem for file in sorted((PLAIN / "gpu").glob("[!_]*.py"))]
    return [(name, name) for name in names if (PLAIN / f"{name}.py").is_file()] + list(OTHER_FORMS.items())


@pytest.mark.parametrize(("gpu", "plain"), forms())
def test_the_same_name_and_arguments(gpu: str, plain: str) -> None:
    theirs, ours = functions(PLAIN / f"{plain}.py"), functions(PLAIN / "gpu" / f"{gpu}.py")
    shared = ours.keys() & theirs.keys()
    assert shared, "the form has another name"
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def test_no_operation_is_plain_alone_by_mistake() -> None:
    """Beside operations, `kernels` has what their forms share."""
    shared = {"raster", "shapes"}
    assert {file.stem for file in PLAIN.glob("[!_]*.py")} - shared == {plain for _, plain in forms()}
