"""HEAD is answered like GET, without the body."""

from __future__ import annotations

from samenloop import metrics
from tests.edge.scenes import KEY, Scene

VARIES = {"traceparent"}


def test_every_address_that_answers_get_answers_head_alike(scene: Scene) -> None:
    """The same status and headers, the length of the body too, and nothing behind them; the description has none."""
    headers = {"Authorization": f"Bearer {KEY}"}
    paths = [
        path for path, operations in scene.client.get("/openapi.json").json()["paths"].items() if "get" in operations
    ]
    told = {}
    for path in ["/docs", "/systems", "/nothing", *paths]:
        get, head = (scene.client.request(method, path, headers=headers) for method in ("GET", "HEAD"))
        there, same = (
            {name: text for name, text in answer.headers.items() if name not in VARIES} for answer in (get, head)
        )
        told[path] = head.status_code

        assert (head.status_code, same, head.content) == (get.status_code, there, b""), path
    assert told["/systems"] == told["/v1/sources"] == told["/health/live"] == 200


def test_head_is_no_way_around(scene: Scene) -> None:
    """What has no GET refuses HEAD, and who may not ask for the body is not told its head."""
    assert scene.client.head("/v1/events").headers["allow"] == "POST"
    assert scene.client.head("/v1/events").status_code == 405
    assert scene.client.head("/v1/sources").status_code == 401


def test_heads_are_counted_by_the_route_that_answered(scene: Scene) -> None:
    """An operator sees them beside the requests for the same route, each of which began at 0."""
    series = metrics.HTTP_REQUESTS_TOTAL.labels(route="/health/live", status_class="2xx")
    untouched = {
        sample.labels["route"]
        for family in metrics.REGISTRY.collect()
        if family.name == "samenloop_http_requests"
        for sample in family.samples
    }
    before = series._value.get()
    scene.client.head("/health/live")

    assert series._value.get() == before + 1
    assert {"/v1/events", "/v1/changes/stream", "/systems"} <= untouched
