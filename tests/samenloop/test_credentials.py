"""How a process signs in: its own folder, what goes before it, and every problem at once."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from samenloop.credentials import check, signed_in
from samenloop.errors import BadSettings
from samenloop.settings import Hub, Kafka, Registry, load_hub

SASL = {"security_protocol": "SASL_SSL"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Credentials of two processes and the operator, who comes with a certificate."""
    for principal in ("detect", "source-town"):
        (tmp_path / principal).mkdir()
        (tmp_path / principal / "password").write_text(f"secret of {principal}\n")
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator" / "user.crt").write_text("certificate")
    (tmp_path / "operator" / "user.key").write_text("key")
    return tmp_path


def hub(**kafka: object) -> Hub:
    return Hub(kafka=Kafka.model_validate(kafka))


def problems(of: Hub, principal: str = "detect") -> list[str]:
    with pytest.raises(BadSettings) as caught:
        signed_in(of, principal)
    return caught.value.problems


def test_each_process_takes_its_own(folder: Path) -> None:
    """One settings file serves all: who signs in is the process, its user carries the prefix."""
    settings = hub(**SASL, credentials_dir=folder, prefix="town.")

    found = {name: signed_in(settings, name).kafka for name in ("detect", "source-town")}

    assert {name: one.sasl_username for name, one in found.items()} == {
        "detect": "town.detect",
        "source-town": "town.source-town",
    }
    assert found["detect"].sasl_password == SecretStr("secret of detect")
    assert found["detect"].sasl_mechanism == "SCRAM-SHA-512"


def test_certificates_are_taken_without_sasl(folder: Path) -> None:
    """With mutual TLS the folder has a certificate and its key."""
    kafka = signed_in(hub(security_protocol="SSL", credentials_dir=folder), "operator").kafka

    assert (kafka.ssl_certificate_location, kafka.ssl_key_location) == (
        folder / "operator/user.crt",
        folder / "operator/user.key",
    )


def test_what_the_settings_name_goes_before_the_folder(folder: Path, tmp_path: Path) -> None:
    """A user in the settings or the environment is taken, its password from a file beside it."""
    (tmp_path / "hub.yaml").write_text("kafka: {security_protocol: SASL_SSL, credentials_dir: nowhere}\n")
    env = {
        "SAMENLOOP_KAFKA__SASL_USERNAME": "someone",
        "SAMENLOOP_KAFKA__SASL_PASSWORD_FILE": str(folder / "detect" / "password"),
    }

    kafka = signed_in(load_hub(tmp_path / "hub.yaml", env), "detect").kafka

    assert (kafka.sasl_username, kafka.sasl_password) == ("someone", SecretStr("secret of detect"))


def test_all_problems_are_told_at_once_and_no_secret(folder: Path, tmp_path: Path) -> None:
    """Kafka's and the registry's, missing and contradicting: one start tells all, and shows no secret."""
    (folder / "detect" / "password").write_text("")
    registry = Registry(url="http://registry.example", username="u", password=SecretStr("geheim"))
    settings = Hub(
        kafka=Kafka(
            security_protocol="SASL_SSL",
            ssl_ca_location=tmp_path / "ca.crt",
            credentials_dir=folder,
            ssl_key_location=tmp_path / "key",
        ),
        registry=registry,
    )

    found = problems(settings)

    assert found == [
        "kafka.ssl_certificate_location and ssl_key_location: only one is given, expected both or neither",
        f"kafka.ssl_ca_location: {tmp_path}/ca.crt cannot be read (No such file or directory)",
        f"kafka.credentials_dir: {folder}/detect/password is empty",
        f"kafka.ssl_certificate_location: {tmp_path}/key cannot be read (No such file or directory)",
        "registry.username: registry.url is not https; expected an https address",
    ]
    assert "geheim" not in repr(settings)


@pytest.mark.parametrize(
    ("kafka", "words"),
    [
        ({"sasl_username": "x"}, "kafka.sasl_username: has no effect with security_protocol PLAINTEXT"),
        ({"ssl_ca_location": "ca"}, "kafka.ssl_ca_location: has no effect"),
        ({"credentials_dir": "c"}, "kafka.credentials_dir: has no effect"),
        (SASL, "no user and password for security_protocol SASL_SSL"),
        (
            {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "x",
                "sasl_password": "y",
            },
            "PLAIN would send the password readable",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(kafka: dict[str, object], words: str) -> None:
    """Who writes down a password believes in it: it may not silently be unused, nor travel readable."""
    (found,) = problems(hub(**kafka))

    assert words in found


def test_the_whole_hub_is_checked_before_any_part_starts(folder: Path) -> None:
    """`samenloop up` names the folder of each part that lacks its credentials."""
    with pytest.raises(BadSettings) as caught:
        check(hub(**SASL, credentials_dir=folder), ["detect", "notify", "edge"])

    assert [line.split(": ")[1].split("/")[-2] for line in caught.value.problems] == ["notify", "edge"]
