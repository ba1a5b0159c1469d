# SPDX-License-Identifier: GPL-2.0-or-later
"""Layout of the package: order of imports, size and complexity, public names."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import scapy_ipfix

ROOT = Path(scapy_ipfix.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))
#: Packages, the outer one not among them.
PACKAGES = sorted(path.parent for path in ROOT.glob("*/**/__init__.py"))


MODULE_LINES = 500
FUNCTION_LINES = 50
#: A comment within or above a function that is long or complex, with the reason.
REASON = re.compile(r"#.*\bOne function\b")


def name_of(path: Path) -> str:
    """Return the dotted name of a module or package below the outer one."""
    parts = path.with_suffix("").relative_to(ROOT).parts
    return ".".join(part for part in parts if part != "__init__")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def modules_in(package: Path) -> list[str]:
    """Return the modules and packages directly in a package."""
    found = {path.stem for path in package.glob("*.py")} - {"__init__"}
    return sorted(found | {path.parent.name for path in package.glob("*/__init__.py")})


def documented(package: Path) -> list[str]:
    """Return the modules that the docstring of a package names, in its order of imports."""
    docstring = ast.get_docstring(tree_of(package / "__init__.py")) or ""
    marker = "each importing only from those before it:"
    text = " ".join(docstring.split())
    assert marker in text, f"{package.name}: no list of modules in its docstring"
    return re.findall(r"``(\w+)``", text.partition(marker)[2])


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names below the outer package that a module imports."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            if node.module == "scapy_ipfix":
                yield from (each.name for each in node.names)
            elif node.module and node.module.startswith("scapy_ipfix."):
                name = node.module.removeprefix("scapy_ipfix.")
                yield name
                yield from (f"{name}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            for each in node.names:
                if each.name.startswith("scapy_ipfix."):
                    yield each.name.removeprefix("scapy_ipfix.")
        elif isinstance(node, ast.ImportFrom):
            pytest.fail(f"{path}:{node.lineno}: a relative import")


def functions(path: Path) -> Iterator[tuple[str, int, int, str]]:
    """Yield name, first line, last line and text of each function, with the line above."""
    lines = path.read_text().splitlines()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            assert node.end_lineno is not None
            text = "\n".join(lines[max(0, first - 2) : node.end_lineno])
            yield node.name, node.lineno, node.end_lineno, text


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_a_package_names_its_modules(package: Path) -> None:
    assert sorted(documented(package)) == modules_in(package)


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_imports_follow_the_order_of_the_docstring(package: Path) -> None:
    order = documented(package)
    prefix = f"{name_of(package)}."
    for path in sorted(package.rglob("*.py")):
        own = name_of(path).removeprefix(prefix).partition(".")[0]
        if own not in order:
            continue
        before = {*order[: order.index(own)], own}
        for imported in imports(path):
            if imported.startswith(prefix):
                other = imported.removeprefix(prefix).partition(".")[0]
                assert other in before, f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_contracts_have_the_order_of_the_docstring(package: Path) -> None:
    text = (ROOT.parent / "pyproject.toml").read_text()
    contract = re.search(
        rf'containers = \["scapy_ipfix\.{re.escape(name_of(package))}"\]\n.*?layers = \[(.*?)\]',
        text,
        re.DOTALL,
    )
    assert contract is not None
    assert re.findall(r'"(\w+)"', contract[1]) == documented(package)[::-1]


def test_packages_are_all_there() -> None:
    text = " ".join((scapy_ipfix.__doc__ or "").split())
    listed = text.partition("each importing only from those before it:")[2]
    order = re.findall(r"``(\w+)``", listed)
    assert sorted(order) == sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    assert order == [*scapy_ipfix._PACKAGES, "cli"]


def test_no_module_has_the_name_of_a_public_object() -> None:
    modules = {name_of(path).rpartition(".")[2] for path in MODULES}
    assert not modules & set(scapy_ipfix.__all__)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_function_imports(path: Path) -> None:
    # Optional extras are imported by name, through scapy_ipfix.reading.extras.
    for function in ast.walk(tree_of(path)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = [
                node.lineno
                for node in ast.walk(function)
                if isinstance(node, (ast.Import, ast.ImportFrom))
            ]
            assert not inside, f"{path}: import inside {function.name}, line {inside[0]}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_size_of_modules(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_size_of_functions(path: Path) -> None:
    long = [
        f"{name} in line {first}: {last - first + 1} lines"
        for name, first, last, text in functions(path)
        if last - first + 1 > FUNCTION_LINES and not REASON.search(text)
    ]
    assert not long


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_complexity_of_functions(path: Path) -> None:
    radon = pytest.importorskip("radon.complexity")
    texts = {first: text for _, first, _, text in functions(path)}
    complex_ones = [
        f"{block.fullname} in line {block.lineno}: {block.complexity}"
        for block in radon.cc_visit(path.read_text())
        if block.letter != "C"  # functions and methods; C is a class here
        and radon.cc_rank(block.complexity) > "C"
        and not REASON.search(texts[block.lineno])
    ]
    assert not complex_ones


def test_dir_has_public_names_and_packages() -> None:
    found = dir(scapy_ipfix)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"cli"}
    assert found == sorted({*scapy_ipfix.__all__, *packages, "__version__"})
    assert all(hasattr(scapy_ipfix, name) for name in found)


def test_star_import_has_public_names_alone() -> None:
    names: dict[str, object] = {}
    exec("from scapy_ipfix import *", names)
    assert set(names) - {"__builtins__"} == set(scapy_ipfix.__all__)


def test_optional_packages_are_not_imported() -> None:
    code = "import sys, scapy_ipfix; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "scapy_ipfix.reading" in loaded
    assert not loaded & {"numpy", "pandas", "pyarrow", "scapy_ipfix.cli"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), path
