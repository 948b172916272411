"""The description of the interface (OpenAPI 3.1), made once, and that of the events (AsyncAPI 3), as it is shipped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge import documented, documented_exchange, documented_reading
from edge.forms import ChangeForm, FeatureForm
from edge.restrictions import ReportForm
from samenloop import __version__
from samenloop.contract import files
from samenloop.contract.compiled import named_types
from samenloop.partners import SCOPES

_INSTALLED = Path(__file__).with_name("asyncapi.yaml")
EVENTS = _INSTALLED if _INSTALLED.is_file() else Path(__file__).parents[1] / "docs/reference/asyncapi.yaml"
TITLE = "Samenloop"
INTRODUCTION = """Send plans of works to the hub, and ask it what you may see.

Every request carries `Authorization: Bearer <API key>`. What a key may be used for are its scopes:

""" + "\n".join(f"* `{scope}`: {meaning}" for scope, meaning in SCOPES.items())


def describe(app: FastAPI, base_url: str) -> dict[str, Any]:
    """Return the description of *app*; the framework's own 422 is left out, since it is answered with 400."""
    found = get_openapi(
        title=TITLE,
        version=__version__,
        summary="One shared truth of the plans of works of many organisations",
        description=INTRODUCTION,
        routes=app.routes,
        servers=[{"url": base_url}],
        license_info={"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
    )
    models: tuple[type[BaseModel], ...] = (
        *documented.MODELS,
        *documented_reading.MODELS,
        *documented_exchange.MODELS,
        ChangeForm,
        ReportForm,
        FeatureForm,
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    _explain(schemas)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in found["paths"].values():
        for operation in operations.values():
            operation.get("responses", {}).pop("422", None)
    return found


@cache
def events() -> str:
    """Return the description of the events (AsyncAPI 3), the same for every hub."""
    return EVENTS.read_text(encoding="utf-8")


def _explain(schemas: dict[str, Any]) -> None:
    """Give every field of a form that says nothing itself the sentence of the contract, Dutch term included."""
    types = named_types(files.current("PlanChanged"))
    for name, schema in schemas.items():
        record = "Plan" if name == "PropertiesForm" else "PlanChanged" if name == "ChangeForm" else name[: -len("Form")]
        documented = types.get(record, {}).get("fields", []) if name.endswith("Form") else []
        for field in documented:
            if field["name"] in schema["properties"]:
                schema["properties"][field["name"]].setdefault("description", field["doc"])
