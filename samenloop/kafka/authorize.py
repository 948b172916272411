"""Makes a cluster with an authorizer agree with the table of principals: their rights, and their users for SCRAM."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from samenloop.credentials import PASSWORD, principal_on_wire
from samenloop.errors import BadSettings, Retry
from samenloop.kafka import clients
from samenloop.kafka.access import Access, Operation, Resource, Right, rights
from samenloop.settings import Kafka
from samenloop.value import value

_ASK_SECONDS: Final = 15.0
_ITERATIONS: Final = 4096
"""What Kafka itself takes; the passwords made here are random, not guessable words."""
_RESOURCES: Final = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
    Resource.CLUSTER: ResourceType.BROKER,
}
_OPERATIONS: Final = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.CREATE: AclOperation.CREATE,
    Operation.DELETE: AclOperation.DELETE,
    Operation.DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS: AclOperation.ALTER_CONFIGS,
}
_Filter: Any = AclBindingFilter  # its types leave out that a filter may leave out
_EVERYTHING: Final = _Filter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)


@value
class Differences:
    """What a cluster lacks of the table, what it grants beyond it, and rights of principals the table does not know.

    *strangers* have a name of our prefix: a source that is no longer in the settings, or is in another hub's.
    """

    lacking: Collection[AclBinding]
    beyond: Collection[AclBinding]
    strangers: Collection[AclBinding]


def plain_user(name: str) -> str:
    """Return the principal that a user has for Kafka when it signs in by SCRAM."""
    return f"User:{name}"


class Authorizer:
    """The rights on one cluster; *kafka* are settings of who may change them. Calls raise Retry and BadSettings."""

    def __init__(self, kafka: Kafka, rows: Iterable[Access], *, principal: Callable[[str], str] = plain_user) -> None:
        self._kafka, self._rows = kafka, list(rows)
        self._principal = principal
        self._admin: Any = clients.administrator(kafka)

    def differences(self) -> Differences:
        """Compare the cluster with the table."""
        named = {
            row.principal: self._principal(principal_on_wire(self._kafka.prefix, row.principal)) for row in self._rows
        }
        wanted = {
            binding_of(right, named[row.principal]) for row in self._rows for right in rights(row, self._kafka.prefix)
        }
        found = set(self._found())
        ours = set(named.values())
        prefix = self._principal(self._kafka.prefix)
        beyond = found - wanted
        return Differences(
            lacking=sorted(wanted - found, key=said),
            beyond=sorted((one for one in beyond if one.principal in ours), key=said),
            strangers=sorted(
                (one for one in beyond if one.principal not in ours and one.principal.startswith(prefix)), key=said
            ),
        )

    def grant(self, bindings: Collection[AclBinding]) -> None:
        """Add rights."""
        if bindings:
            _done(self._admin.create_acls(list(bindings), request_timeout=_ASK_SECONDS))

    def withdraw(self, bindings: Collection[AclBinding]) -> None:
        """Take rights back."""
        filters = [
            _Filter(
                one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation,
                one.permission_type,
            )
            for one in bindings
        ]  # fmt: skip
        if filters:
            _done(self._admin.delete_acls(filters, request_timeout=_ASK_SECONDS))

    def make_users(self, folder: Path) -> list[str]:
        """Make the SCRAM user of every principal with the password in its folder; one line for each that was new.

        A password that is missing is made up and written, so that only we may read it; a user that is there keeps its
        own. To change a password, remove its file.
        """
        lines = []
        for user, file in self.lacking_users(folder).items():
            password = _kept(file) or secrets.token_urlsafe(32)
            info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
            alteration = UserScramCredentialUpsertion(user, info, password.encode())
            _done(self._admin.alter_user_scram_credentials([alteration], request_timeout=_ASK_SECONDS))
            _keep(file, password)  # last: what is cut off before is made again, what Kafka has not taken is not kept
            lines.append(f"+ user {user}, with the password in {file}")
        return lines

    def lacking_users(self, folder: Path) -> dict[str, Path]:
        """Return the users that Kafka does not know, or whose password is not in *folder*; each with its file."""
        there = self._users()
        users = {
            principal_on_wire(self._kafka.prefix, row.principal): folder / row.principal / PASSWORD
            for row in self._rows
        }
        return {user: file for user, file in users.items() if user not in there or not file.exists()}

    def _users(self) -> set[str]:
        try:
            described = self._admin.describe_user_scram_credentials(None, request_timeout=_ASK_SECONDS)
            return set(described.result(_ASK_SECONDS))
        except (KafkaException, TimeoutError) as error:
            raise _translated(error) from error

    def _found(self) -> list[AclBinding]:
        try:
            found: list[AclBinding] = self._admin.describe_acls(_EVERYTHING, request_timeout=_ASK_SECONDS).result(
                _ASK_SECONDS
            )
        except (KafkaException, TimeoutError) as error:
            raise _translated(error) from error
        return found


def _kept(file: Path) -> str | None:
    return file.read_text(encoding="utf-8").strip("\r\n") if file.exists() else None


def _keep(file: Path, password: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(password + "\n", encoding="utf-8")


def binding_of(right: Right, principal: str) -> AclBinding:
    """Return a right as Kafka's client wants it; it may come from any host."""
    return AclBinding(
        _RESOURCES[right.resource],
        right.name,
        ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
        principal,
        "*",
        _OPERATIONS[right.operation],
        AclPermissionType.ALLOW,
    )


def said(binding: Any) -> str:
    """Return a right, an `AclBinding`, in words."""
    kind = binding.restype.name.lower().replace("_", " ")
    stem = "…" if binding.resource_pattern_type is ResourcePatternType.PREFIXED else ""
    operation = binding.operation.name.lower().replace("_", " ")
    denied = "denied " if binding.permission_type is AclPermissionType.DENY else ""
    what = binding.name if binding.restype is ResourceType.BROKER else f"{kind} {binding.name}{stem}"
    return f"{binding.principal}: {denied}{operation} {what}"


def lines_of(bindings: Iterable[AclBinding], sign: str) -> Iterator[str]:
    """Yield one line for each right, as a difference shows it."""
    return (f"{sign} {said(one)}" for one in bindings)


def _done(asked: Mapping[Any, Any]) -> None:
    for future in asked.values():
        try:
            future.result(_ASK_SECONDS)
        except (KafkaException, TimeoutError) as error:
            raise _translated(error) from error


def _translated(error: KafkaException | TimeoutError) -> BadSettings | Retry:
    code = error.args[0].code() if isinstance(error, KafkaException) else None
    if code == KafkaError.SECURITY_DISABLED:
        return BadSettings(["the cluster has no authorizer: set authorizer.class.name on its brokers, then again"])
    if code == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        return BadSettings(["this principal may not change rights; a super user of the cluster may"])
    return Retry("kafka.unavailable", f"rights could not be read or changed: {error}")
