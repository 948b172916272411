"""The image: what a linter and the rules of a hardened container ask, as far as it can be told without an engine."""

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from samenloop.settings import load_hub, variables
from tests.deploy.composed import DEPLOY, DOCKERFILE, document, image_environment, image_healthcheck, instructions

REPOSITORY = DEPLOY.parent
SCRIPTS = Path(sys.executable).parent


def let_through() -> list[str]:
    """Return what .dockerignore lets into the build."""
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in lines, "everything is left out but what is named"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def test_the_linter_finds_nothing() -> None:
    """hadolint, at its strictest, has nothing to say of the Dockerfile."""
    done = subprocess.run([SCRIPTS / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_an_ordinary_user_by_number() -> None:
    """Kubernetes can check that it is not root only where the user is a number."""
    users = [rest for word, rest in instructions() if word == "USER"]

    assert users == ["10001:10001"]


def test_packages_come_from_the_lock_with_hashes_and_from_no_address_of_ours() -> None:
    """Every package is pinned by hash and a wheel; where from is the builder's own matter; no cache stays."""
    text = DOCKERFILE.read_text()

    assert "--require-hashes --only-binary :all: --requirement requirements.lock" in text
    assert "--no-deps --no-build-isolation" in text
    assert "PIP_NO_CACHE_DIR=1" in text
    assert not re.search(r"https?://|index-url|find-links|trusted-host|apt-get|curl|ADD ", text)


def test_the_build_gets_all_it_needs_and_no_secret() -> None:
    """What the wheel is made of and what is copied gets in; settings, keys and tests stay outside."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    target = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = [rest.split()[0] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    needed = [*target["packages"], *target["force-include"], *project["project"]["license-files"], "README.md"]
    needed += [path for path in copied if path != "."]
    allowed = let_through()

    assert [path for path in needed if not any(path == one or path.startswith(f"{one}/") for one in allowed)] == []
    outside = (".git/config", ".venv/bin/python", "deploy/secrets/master.key", "deploy/hub.env", "deploy/hub.yaml")
    assert [path for path in outside if any(fnmatch(path, one) or path.startswith(f"{one}/") for one in allowed)] == []


def test_one_version_everywhere() -> None:
    """Image, compose and manifests say the version of the package."""
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    overlay = yaml.safe_load((DEPLOY / "kubernetes" / "base" / "kustomization.yaml").read_text())

    assert f"ARG VERSION={version}\n" in DOCKERFILE.read_text()
    assert document()["services"]["topics"]["image"] == f"samenloop:{version}"
    assert [image["newTag"] for image in overlay["images"]] == [version]


def test_the_image_sets_only_what_is_a_setting(tmp_path: Path) -> None:
    """Its environment is read by the hub without complaint."""
    own = {name: text for name, text in image_environment().items() if name.startswith("SAMENLOOP_")}
    settings = tmp_path / "hub.yaml"
    settings.write_text("{}")

    hub = load_hub(settings, own)

    assert own.keys() - {"SAMENLOOP_CONFIG"} <= variables().keys()
    assert (hub.metrics.host, hub.metrics.port, hub.logs.form) == ("0.0.0.0", 9100, "json")


@pytest.mark.parametrize(("live", "ready", "code"), [(200, 200, 0), (200, 503, 1), (503, 200, 1), (0, 0, 1)])
def test_health_is_what_the_process_says(live: int, ready: int, code: int) -> None:
    """Healthy is who is live and ready; who does not answer, or answers nonsense, is not."""

    class Process(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = {"/live": live, "/ready": ready}[self.path]
            if status:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Process) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        command = [sys.executable, *image_healthcheck()[1:-1], str(DEPLOY / Path(image_healthcheck()[-1]).name)]
        env = {"SAMENLOOP_METRICS__PORT": str(server.server_port)}
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        server.shutdown()

    assert (done.returncode, done.stderr) == (code, b"")
