"""The page for partners: its code verifies what the hub signs, and its tables are those of the code."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from samenloop import yamlfile
from samenloop.settings import Delivery
from samenloop.subscriptions import Wish
from samenloop.webhooks import derive_secret, sign

PAGE = (Path(__file__).parents[2] / "docs" / "partners" / "webhooks.md").read_text(encoding="utf-8")
SECRET = derive_secret(bytes(32), UUID(int=1))
BODY = '{"title":"Caféplein"}'.encode()


def blocks(language: str) -> list[str]:
    """Code blocks of the page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("code", [code for code in blocks("python") if "def verified" in code])
def test_python_verifies(code: str) -> None:
    """Each example accepts what the hub signs and refuses another body, another secret and an old message."""
    names: dict[str, Any] = {}
    exec(code, names)
    verified: Callable[..., Any] = names["verified"]
    now = datetime.now(UTC)
    good = sign([SECRET, derive_secret(bytes(32), UUID(int=2))], "a1", now, BODY)

    assert verified(SECRET, good, BODY) == {"title": "Caféplein"}
    for secret, headers, body in (
        (SECRET, good, BODY + b" "),
        (derive_secret(bytes(32), UUID(int=3)), good, BODY),
        (SECRET, sign([SECRET], "a1", now - timedelta(minutes=10), BODY), BODY),
    ):
        with pytest.raises(Exception, match=r"."):
            verified(secret, headers, body)


def test_shell_computes_the_same(tmp_path: Path) -> None:
    """The line with openssl gives the signature that the hub sends."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    headers = sign([SECRET], "a1", datetime.now(UTC), BODY)
    (tmp_path / "body.json").write_bytes(BODY)
    script = next(block for block in blocks("sh") if "openssl" in block)
    given = {"SECRET": SECRET, "WEBHOOK_ID": "a1", "WEBHOOK_TIMESTAMP": headers["webhook-timestamp"]}

    done = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env={**given, "PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"v1,{done.stdout.strip()}" == headers["webhook-signature"]


def test_subscription_of_the_page() -> None:
    """The example file is one that is taken; every key is in the table."""
    wish = yamlfile.parse(blocks("yaml")[0], Wish, "webhooks.md")
    documented = set(re.findall(r"`([a-z_0-9]+)`", PAGE.split("| Key |")[1].split("\n\n")[0]))

    assert wish.subscriber == "00000099000000001002"
    assert set(Wish.model_fields) - documented == set()


def test_waits_of_the_page() -> None:
    """The waits are those of the settings' default."""
    text = PAGE.replace("\n", " ").split("Attempts come after ")[1].split(", each")[0]
    units = {"s": 1, "min": 60, "h": 3600, "": 1}
    found = [float(number) * units[unit] for number, unit in re.findall(r"(\d+) ?(s|min|h|)", text)]

    assert found == list(Delivery().retry_seconds)
