"""Pages for people: the description of the interface, and one page per problem. Nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from edge.problems import KINDS

HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a1a }
h1, h2, h3 { line-height: 1.25 } h2 { border-top: 1px solid #ccc; padding-top: 1rem; margin-top: 2.5rem }
code, pre { font: 14px/1.4 ui-monospace, monospace; background: #f3f3f3 } pre { padding: .75rem; overflow-x: auto }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid #ddd; padding: .3rem .5rem;
text-align: left; vertical-align: top } .method { background: #154273; color: #fff; padding: .1rem .5rem }
summary { cursor: pointer } @media (prefers-color-scheme: dark) { body { background: #181818; color: #eee }
code, pre { background: #2a2a2a } a { color: #8ab8ff } }
"""


def problem_page(code: str, root: str = "../") -> str:
    """Return the page of one kind of problem; *root* leads from its address to that of the hub."""
    kind = KINDS[code]
    body = [
        f"<h1>{escape(kind.title)}</h1>",
        f"<p>HTTP status {kind.status}, code <code>{escape(code)}</code></p>",
        f"<p>{_text(kind.meaning)}</p>",
        f"<h2>What to do</h2><p>{_text(kind.fix)}</p>",
        f'<p><a href="{root}problems">All problems</a> · <a href="{root}docs">Documentation</a></p>',
    ]
    return _page(kind.title, body)


def problems_page() -> str:
    """Return the list of all kinds of problems."""
    rows = [
        f'<tr><td>{kind.status}</td><td><a href="problems/{code}">{code}</a></td><td>{escape(kind.title)}</td></tr>'
        for code, kind in KINDS.items()
    ]
    return _page(
        "Problems", ["<h1>Problems</h1>", "<table>", *rows, "</table>", '<p><a href="docs">Documentation</a></p>']
    )


def documentation(described: Mapping[str, Any]) -> str:
    """Return the description of the interface as a page: every operation with its parameters, bodies and answers."""
    info = described["info"]
    body = [
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['summary'])}. Version {escape(info['version'])}.</p>",
        *_markdown(info["description"]),
        '<p>For machines: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1) and, of what travels as events, '
        '<a href="asyncapi.yaml">asyncapi.yaml</a> (AsyncAPI 3). <a href="problems">Problems</a>.</p>',
    ]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            body += _operation(method, path, operation)
    body += ["<h2>Forms</h2>"]
    for name, schema in sorted(described["components"]["schemas"].items()):
        body += _form(name, schema)
    return _page(info["title"], body)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>'
    yield f"<p><b>{escape(operation.get('summary', ''))}</b></p>"
    yield from _markdown(operation.get("description", ""))
    if parameters := operation.get("parameters"):
        yield "<h3>Parameters</h3><table>"
        for one in parameters:
            must = ", required" if one.get("required") else ""
            yield f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}{must}</td>"
            yield f"<td>{_text(one.get('description', ''))}</td></tr>"
        yield "</table>"
    for content_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<h3>Body <code>{escape(content_type)}</code> {_reference(content.get('schema', {}))}</h3>"
        yield from _examples(content)
    yield "<h3>Answers</h3>"
    for status, answer in operation.get("responses", {}).items():
        yield f"<details><summary><b>{escape(str(status))}</b> {_text(answer['description'])}</summary>"
        for content in answer.get("content", {}).values():
            yield f"<p>{_reference(content.get('schema', {}))}</p>"
            yield from _examples(content)
        yield "</details>"


def _examples(content: Mapping[str, Any]) -> Iterator[str]:
    found = [content["example"]] if "example" in content else []
    found += [one["value"] for one in content.get("examples", {}).values()]
    for example in found:
        yield f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"


def _form(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{_text(schema.get("description", ""))}</p>'
    if "enum" in schema:
        yield f"<p>{', '.join(f'<code>{escape(str(one))}</code>' for one in schema['enum'])}</p>"
    if properties := schema.get("properties"):
        yield "<table>"
        for key, one in properties.items():
            must = " (required)" if key in schema.get("required", ()) else ""
            yield f"<tr><td><code>{escape(key)}</code>{must}</td><td>{_type(one)}</td>"
            yield f"<td>{_text(one.get('description', ''))}</td></tr>"
        yield "</table>"


def _type(schema: Mapping[str, Any]) -> str:
    """Return what a value is, in words and links."""
    if "$ref" in schema:
        return _reference(schema)
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("format") or schema.get("type") or schema.get("const") or "any"))


def _reference(schema: Mapping[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else ""


def _markdown(text: str) -> Iterator[str]:
    """Yield paragraphs and lists of dashes or stars: all that our descriptions use."""
    for part in text.strip().split("\n\n"):
        if part.startswith("* "):
            yield "<ul>" + "".join(f"<li>{_text(line[2:])}</li>" for line in part.split("\n")) + "</ul>"
        elif part:
            yield f"<p>{_text(part)}</p>"


def _text(text: str) -> str:
    """Return text with `code` and [links](…) made so; links of the repository's pages are left as words."""
    pieces = escape(text, quote=False).split("`")
    marked = [f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces)]
    return "".join(marked).replace("[codes](codes.md)", "codes")


def _page(title: str, body: list[str]) -> str:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return (
        f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>'
        + "\n".join(body)
        + "</body></html>"
    )
