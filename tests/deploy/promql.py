"""What a PromQL expression asks for, and the answers of a Prometheus."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from samenloop.metrics import CATALOGUE

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yaml"
FOREIGN = {
    "up": set(),
    "scrape_samples_post_metric_relabeling": set(),
    "kafka_server_replicamanager_underreplicatedpartitions": set(),
}
"""Metrics of Prometheus itself and of the broker, with their labels beside job and instance."""
_LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Selector:
    """One metric that is asked for, with its matchers as (label, operator, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]


@cache
def rules() -> list[dict[str, Any]]:
    """Return every rule of the rules file."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def selectors(expr: str) -> list[Selector]:
    """Return every selector of an expression."""
    return [
        Selector(node.name, tuple((m.name, str(m.op).rpartition(".")[2], m.value) for m in node.matchers.matchers))
        for node in _nodes(promql_parser.parse(expr))
        if isinstance(node, promql_parser.VectorSelector)
    ]


def grouped(expr: str) -> set[str]:
    """Return every label that an expression groups or joins by."""
    found: set[str] = set()
    for node in _nodes(promql_parser.parse(expr)):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found |= set(node.modifier.labels)
        if isinstance(node, promql_parser.BinaryExpr) and node.modifier is not None:
            found |= set(node.modifier.matching.labels if node.modifier.matching else ())
    return found


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    children = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "param", "vector_selector")]
    for child in [*children, *getattr(node, "args", [])]:
        if child is not None and type(child).__module__.startswith("promql_parser"):
            yield from _nodes(child)


def labels_of(name: str) -> dict[str, tuple[str, ...] | None]:
    """Return the labels of a metric with the values of closed ones. Raises KeyError when there is no such metric."""
    always: dict[str, tuple[str, ...] | None] = {"job": None, "instance": None}
    if name in FOREIGN:
        return always
    recorded = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}
    if name in recorded:
        return always | dict.fromkeys(grouped(recorded[name]))
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    metric = CATALOGUE.get(name) or CATALOGUE[base]
    if metric.kind.__name__ == "Histogram":
        assert name != base, f"{name}: a histogram is asked for by _bucket, _sum or _count"
        always["le"] = None
    return always | {label: bound if isinstance(bound, tuple) else None for label, bound in metric.bounds.items()}


def problems(expr: str) -> list[str]:
    """Return what an expression asks for that does not exist: metrics, labels, values of closed labels."""
    found, known = [], set()
    for selector in selectors(expr):
        try:
            labels = labels_of(selector.name)
        except KeyError:
            found.append(f"{selector.name}: no such metric")
            continue
        known |= labels.keys()
        for label, operator, value in selector.matchers:
            values = labels.get(label)
            if label not in labels:
                found.append(f"{selector.name}: no label {label}")
            elif values is not None:
                asked = value.split("|") if operator in ("Re", "NotRe") else [value]
                found += [f"{selector.name}: {label} is never {one}" for one in asked if one not in values]
    return found + [f"no selector has the label {label}" for label in sorted(grouped(expr) - known)]


def ask(url: str, path: str, **query: str | float) -> Any:
    """Return the data of an answer of Prometheus' API; an error raises with its words."""
    address = f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    try:
        with _LOOPBACK.open(address, timeout=30) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{query}: {error.read().decode()}") from error
