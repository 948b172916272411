"""What is installed is what was tested: the wheel, built offline, runs on its own."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel in it; the dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    (site,) = (folder / "lib").glob("python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_carries_what_the_hub_needs(wheel: Path) -> None:
    """Schemas, rules, descriptions, the local stack's configuration, the demonstration's profiles are inside."""
    names = set(zipfile.ZipFile(wheel).namelist())

    assert "samenloop/schemas/avro/PlanState.avsc" in names
    assert {f"samenloop/localstack/deploy/{name}" for name in ("pom.xml", "kafka.properties", "log4j2.yaml")} <= names
    assert {
        "samenloop/rules/default.yaml",
        "samenloop/py.typed",
        "streams/py.typed",
        "connectors/py.typed",
        "edge/py.typed",
        "edge/asyncapi.yaml",
    } <= names
    assert any(re.fullmatch(r"samenloop/demo/profiles/.+\.yaml", name) for name in names)


def test_the_installed_wheel_starts(installed: Path, tmp_path: Path) -> None:
    """`samenloop --help` and a command that reads the schemas work from the wheel, away from the checkout."""
    code = (
        "import samenloop, samenloop.localstack.artefacts as a, samenloop.contract as c, sys;"
        "c.Codec.offline(); print(samenloop.__file__, a.deploy_folder());"
        "from samenloop.cli import main; main(['--help'])"
    )

    said = _run([str(installed / "python"), "-c", code], tmp_path)

    lines = said.splitlines()
    assert all(str(installed.parent) in place for place in lines[0].split())
    assert "Usage: samenloop" in said


def test_help_imports_nothing_heavy(installed: Path, tmp_path: Path) -> None:
    """`samenloop --help` loads our command table and the standard library, nothing else: that keeps it immediate."""
    command = [str(installed / "python"), "-X", "importtime", "-m", "samenloop.cli", "--help"]

    said = _run(command, tmp_path)

    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in said.splitlines() if "import time:" in line}
    foreign = {name for name in loaded if name not in sys.stdlib_module_names and not name.startswith("_")}
    usual = {"imported package", "sitecustomize", "usercustomize", "org"}  # `copy` asks whether this is Jython
    assert foreign - usual == {"samenloop"}


def _run(command: list[str], folder: Path) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SAMENLOOP_", "PYTHON"))}
    result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr
