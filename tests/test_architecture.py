"""Which package may import which. The layers themselves are import-linter contracts."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

PACKAGE = Path(__file__).resolve().parent.parent / "edge_retina"
TENSORFLOW = {"tensorflow", "tf_keras", "tensorflow_model_optimization"}
WITH_TENSORFLOW = {
    "input_pipeline",
    "model",
    "imports",
    "training",
    "quantization",
    "export",
    "design",  # inside functions too, but for the modules that build networks
    "workflow",
    "cli",  # inside functions of commands only, see test_help_needs_no_tensorflow
}
KERAS_MODULE = "model/keras.py"
TFMOT_MODULE = "quantization/tfmot_layers.py"
CONVERTER_MODULE = "edge_retina/export/convert.py"
# The private parts of Keras that only this module may touch
INTERNALS_MODULE = "edge_retina/model/keras_internals.py"
PRIVATE_ATTRIBUTES = {
    "_inbound_nodes",
    "_outbound_nodes",
    "_nodes_by_depth",
    "_keras_history",
}
PRIVATE_PACKAGES = ("tensorflow_model_optimization.python", "tf_keras.src", "tensorflow.python")

BLOCKED = f"""
import importlib, pkgutil, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(TENSORFLOW)!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)

sys.meta_path.insert(0, Block())
"""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported_names(path: Path) -> Iterator[str]:
    """The top-level packages that a file imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def run_without_tensorflow(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        timeout=120,
    )


def test_only_one_module_imports_tf_keras_and_one_its_internals() -> None:
    importers = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        if "tf_keras" in imported_names(path)
    }
    internals = Path(INTERNALS_MODULE).relative_to(PACKAGE.name).as_posix()
    assert importers == {KERAS_MODULE, internals}


def test_nobody_reaches_keras_through_tensorflow() -> None:
    """`tf.keras` is Keras 2 or 3 depending on an environment variable; KERAS_MODULE is always 2."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr == "keras"
        and isinstance(node.value, ast.Name)
        and node.value.id in {"tf", "tensorflow"}
    ]
    assert found == []


def test_one_module_asks_the_converter() -> None:
    """`tf.lite` is frozen: what takes its place is to be put in one file."""
    root = PACKAGE.parent
    found = {
        path.relative_to(root).as_posix()
        for place in (PACKAGE, root / "benchmarks", root / "calibration")
        for path in place.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr == "lite"
        and isinstance(node.value, ast.Name)
        and node.value.id in {"tf", "tensorflow"}
    }
    assert found == {CONVERTER_MODULE}


def private_uses(path: Path) -> Iterator[str]:
    """What a file uses of Keras, TensorFlow and tfmot that is not their public interface."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE_ATTRIBUTES:
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PRIVATE_PACKAGES):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (name for name in names if name.startswith(PRIVATE_PACKAGES))


def test_one_module_knows_the_internals_of_keras() -> None:
    root = PACKAGE.parent
    places = [PACKAGE, *(root / name for name in ("calibration", "benchmarks", "tests"))]
    files = sorted(path for place in places for path in place.rglob("*.py"))
    users = {path.relative_to(root).as_posix() for path in files if any(private_uses(path))}
    assert users == {INTERNALS_MODULE}


def test_one_module_imports_tfmot() -> None:
    """And that one only for `quantize.engine = "tfmot"`."""
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        if "tensorflow_model_optimization" in imported_names(path)
    }
    assert users == {TFMOT_MODULE}


def test_tensorflow_is_not_imported_below_the_input_pipeline() -> None:
    found = [
        path.relative_to(PACKAGE).as_posix()
        for path in modules()
        if path.relative_to(PACKAGE).parts[0] not in WITH_TENSORFLOW
        and TENSORFLOW & set(imported_names(path))
    ]
    assert found == []


@pytest.mark.parametrize("name", sorted(WITH_TENSORFLOW))
def test_importing_a_package_imports_nothing_else(name: str) -> None:
    path = PACKAGE / name / "__init__.py"
    if not path.exists():
        pytest.skip(f"{name} is not built yet")
    assert set(imported_names(path)) <= {"__future__"}


def test_importing_the_library_imports_nothing_of_others() -> None:
    """The time of `import edge_retina` is that of what it imports; see tests/api too."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "import edge_retina; new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(new - set(sys.stdlib_module_names)), *sorted(\n"
        "    name for name in sys.modules if name.startswith('edge_retina.')))"
    )
    result = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["edge_retina"]


def test_device_packages_work_without_tensorflow() -> None:
    free = [
        path.relative_to(PACKAGE).with_suffix("")
        for path in modules()
        if path.relative_to(PACKAGE).parts[0] not in WITH_TENSORFLOW and path.stem != "__init__"
    ]
    names = [".".join(("edge_retina", *path.parts)) for path in free]
    assert "edge_retina.runtime.detector" in names
    result = run_without_tensorflow(
        f"for name in {names!r}:\n    importlib.import_module(name)\nprint('imported all')"
    )
    assert result.stdout.strip() == "imported all", result.stderr


def test_help_needs_no_tensorflow() -> None:
    result = run_without_tensorflow(
        "from edge_retina.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "finally:\n    print('cv2' in sys.modules, 'rich' in sys.modules, file=sys.stderr)"
    )
    assert result.returncode == 0, result.stderr
    assert "Commands:" in result.stdout
    assert result.stderr.strip() == "False False", "--help imports more than it needs"


def test_every_command_helps_without_tensorflow() -> None:
    result = run_without_tensorflow(
        "from edge_retina.cli.main import COMMANDS\n"
        "for entry in COMMANDS.values():\n    importlib.import_module(entry.module).command\n"
        "print('imported all')"
    )
    assert result.stdout.strip() == "imported all", result.stderr


def test_every_directory_of_modules_is_a_package() -> None:
    """import-linter doesn't see the others, and so checks nothing in them."""
    directories = {path.parent for path in modules()}
    assert [str(path) for path in directories if not (path / "__init__.py").is_file()] == []


def test_layers() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [lint, "--no-cache"], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
