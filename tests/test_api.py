"""The package imports quickly, and says the same names to people and to type checkers."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import separatrix

DOMAINS = [name for name in separatrix.__all__ if inspect.ismodule(getattr(separatrix, name))]


def test_importing_the_package_imports_nothing_heavy():
    code = "import separatrix, sys; print({'jax', 'numpy', 'xarray', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_public_name_can_be_imported_and_is_documented():
    public = {f"separatrix.{name}": getattr(separatrix, name) for name in separatrix.__all__}
    for domain in DOMAINS:
        module = importlib.import_module(f"separatrix.{domain}")
        public |= {f"separatrix.{domain}.{name}": getattr(module, name) for name in module.__all__}
    for name, value in public.items():  # aliases and constants have no docstring; the reference lists them
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), name


def test_type_checkers_see_the_names_that_are_imported_lazily():
    tree = ast.parse(Path(inspect.getfile(separatrix)).read_text())
    (block,) = [n for n in tree.body if isinstance(n, ast.If)]
    imported = {alias.name for statement in block.body for alias in statement.names}
    assert imported == set(separatrix.__all__)


def test_no_public_function_shares_its_name_with_its_module():
    # `separatrix.training.x` must not be a module for some and a function for others
    for domain in DOMAINS:
        module = importlib.import_module(f"separatrix.{domain}")
        files = {path.stem for path in Path(inspect.getfile(module)).parent.glob("*.py")}
        assert not files & set(module.__all__), domain


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        separatrix.nothing  # noqa: B018
