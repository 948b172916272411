"""What the interface says of itself: a description that is true, pages that exist and load nothing from elsewhere."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from schemathesis.checks import not_a_server_error

from edge.app import create_app
from edge.problems import KINDS
from samenloop import tracing
from samenloop.partners import SCOPES
from samenloop.tracing.export import bare_provider
from tests.edge.read_model.conftest import make_plan
from tests.edge.regions import make_region
from tests.edge.scenes import Scene

pytestmark = pytest.mark.timeout(900)  # a machine that does much else is slow at a thousand made-up requests
REGION = make_region(Path(tempfile.mkdtemp()) / "read-model.sqlite", stream_minutes=0.0001)
REGION.log.plan(make_plan("P"))
REGION.write()
FUZZED = REGION.scene
SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", create_app(FUZZED.services))


@SCHEMA.parametrize()
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_nothing_makes_the_hub_fail(case: schemathesis.Case) -> None:
    """Whatever is sent, within the description or not, is answered, and never with a 5xx."""
    case.call_and_validate(headers={"Authorization": "Bearer samenloop_network"}, checks=[not_a_server_error])


def test_the_description_is_whole(scene: Scene) -> None:
    """OpenAPI 3.1; every operation has a summary, answers with examples, problems; every reference leads somewhere."""
    found = scene.client.get("/openapi.json").json()
    text = orjson.dumps(found).decode()
    operations = [one for path in found["paths"].values() for one in path.values()]

    assert found["openapi"].startswith("3.1")
    assert all(one["summary"] and one["description"] for one in operations)
    assert "HTTPValidationError" not in text
    assert "422" not in {status for one in operations for status in one["responses"]}
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in found["components"]["schemas"]
    assert all(f"`{scope}`" in found["info"]["description"] for scope in SCOPES)
    for form in ("ChangeForm", "PlanForm", "PropertiesForm", "PeriodForm", "ContactForm"):
        silent = {
            name
            for name, one in found["components"]["schemas"][form]["properties"].items()
            if "description" not in one and name != "accuracy_m"
        }
        assert silent == set(), form


def test_every_example_is_taken(scene: Scene) -> None:
    """The examples of the description are requests that work."""
    body = scene.client.get("/openapi.json").json()["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    event = body["application/cloudevents+json"]["examples"]["change"]["value"]
    headers = {f"ce-{name}": text for name, text in event.items() if name not in ("data", "datacontenttype")}
    for content_type, content in body.items():
        examples = [one["value"] for one in content.get("examples", {}).values()] or [content["example"]]
        for example in examples:
            more: dict[str, Any] = {} if "cloudevents" in content_type else headers
            answer = scene.post(example, content_type, **more)

            assert answer.status_code == 202, answer.text


def test_the_events_are_described(scene: Scene) -> None:
    """The AsyncAPI document of the docs is served to anyone, as YAML."""
    answer = scene.client.get("/asyncapi.yaml")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/yaml")
    assert answer.text.splitlines()[1] == 'asyncapi: "3.0.0"'
    assert "asyncapi.yaml" in scene.client.get("/docs").text


@pytest.mark.parametrize("path", ["/docs", "/problems", *(f"/problems/{code}" for code in KINDS)])
def test_pages_stand_alone(scene: Scene, path: str) -> None:
    """Pages load nothing: no script, no style, no image of another host; a policy forbids it as well."""
    answer = scene.client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", answer.text)


def test_the_page_for_people_says_everything(scene: Scene) -> None:
    """Every path, content type, status and form of the description stands on the page."""
    found = scene.client.get("/openapi.json").json()
    page = scene.client.get("/docs").text

    for path, operations in found["paths"].items():
        assert path in page
        for operation in operations.values():
            assert all(f"<b>{status}</b>" in page for status in operation["responses"])
            assert all(name in page for name in operation.get("requestBody", {}).get("content", {}))
    assert all(f'id="{name}"' in page for name in found["components"]["schemas"])


PROBLEMS = [
    ("GET", "/nowhere", 404, "not-found"),
    ("GET", "/v1/events", 405, "method-not-allowed"),
    ("GET", "/problems/none", 404, "not-found"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), PROBLEMS)
def test_what_the_framework_refuses_is_a_problem(scene: Scene, method: str, path: str, status: int, code: str) -> None:
    """Every error has the one form, with an address of a page that exists and the trace id of the answer."""
    answer = scene.client.request(method, path)
    problem = answer.json()

    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"https://hub.example/problems/{code}"
    assert scene.client.get(f"/problems/{code}").status_code == 200
    assert problem["instance"] in answer.headers["traceparent"]


def test_a_mistake_of_ours_says_nothing(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """500 without the exception's text; the log has it under the same trace id."""
    scene.services.intake = None  # type: ignore[assignment]
    answer = scene.post([{}], "application/cloudevents-batch+json")

    logged = capsys.readouterr().err
    assert answer.status_code == 500
    assert "NoneType" not in answer.text
    assert answer.json()["instance"] in logged
    assert "edge.failed" in logged


def test_a_trace_goes_on(scene: Scene) -> None:
    """The caller's trace id is the instance, and the answer's; nonsense gets a new one."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    given = scene.client.get("/nowhere", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    nonsense = scene.client.get("/nowhere", headers={"traceparent": "00-x-y-01\tz"})

    assert given.json()["instance"] == trace
    assert trace in given.headers["traceparent"]
    assert re.fullmatch("[0-9a-f]{32}", nonsense.json()["instance"])


def test_a_request_is_a_span_of_its_callers_trace(scene: Scene) -> None:
    """With traces on, the answer names the request's own span, the problem its trace; a route names the span."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    exporter, provider = InMemorySpanExporter(), bare_provider("edge")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    try:
        answer = scene.client.get(
            "/problems/stale",
            headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "tracestate": "other=secret"},
        )
        missing = scene.client.get("/nowhere")
    finally:
        tracing.use(None)

    span, other = exporter.get_finished_spans()
    assert answer.headers["traceparent"] == f"00-{trace}-{span.context.span_id:016x}-01"
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET /problems/{code}", 200)  # type: ignore[index]
    assert not span.context.trace_state
    assert missing.json()["instance"] == f"{other.context.trace_id:032x}"
