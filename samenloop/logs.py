"""Logs: one JSON line per event on stderr, or a readable line on a terminal.

    log = get_logger("source")
    log.warning("source.poll_failed", "The poll failed and is tried again.", source=name, code=code)

First the event code, then a **constant** sentence, then fields. DEBUG is for the developer, INFO is what an operator's
own action led to, WARNING is odd but heals itself, ERROR means something is lost or someone must act. Per record only
rejections. Never a payload, a secret or personal data: what looks like a secret is masked here as a last resort.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, cast

import orjson
import structlog

from samenloop import clock

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Format = Literal["auto", "json", "text"]
Event = MutableMapping[str, Any]

MASK = "***"
_SAME_WORDS_SECONDS, _MOST_WORDS = 10.0, 1000
_SECRET_KEY = re.compile(r"secret|passw|token|authorization|api_?key|master_?key|signature|credential", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"whsec_[A-Za-z0-9+/=_-]+|(?<=://)[^/@\s]+(?=@)|(?<=\?)[^\s\"']+(?=[\s\"']|$)|Bearer \S+")
_KNOWN = ("trace_id", "span_id", "plan_id", "event_id", "partner", "source", "code")
"""Fields with one meaning everywhere, ahead of others; `trace_id` and `span_id` are those of W3C and nothing else."""
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}


class Logger(structlog.BoundLoggerBase):
    """A logger of one component; every call takes an event code, a constant sentence and fields."""

    level = 20

    def debug(self, event: str, message: str, /, **fields: object) -> None:
        """Say what only a developer wants to know."""
        self._say("DEBUG", event, message, fields)

    def info(self, event: str, message: str, /, **fields: object) -> None:
        """Say what an operator's own action led to."""
        self._say("INFO", event, message, fields)

    def warning(self, event: str, message: str, /, **fields: object) -> None:
        """Say what is odd, lost nothing, and heals itself."""
        self._say("WARNING", event, message, fields)

    def error(self, event: str, message: str, /, **fields: object) -> None:
        """Say that something is lost or that someone must act; `exc_info=True` adds the trace, without variables."""
        self._say("ERROR", event, message, fields)

    def _say(self, level: str, event: str, message: str, fields: dict[str, object]) -> None:
        if _LEVELS[level] >= Logger.level:
            self._proxy_to_logger("write", event, level=level, message=message, **fields)


class _Stderr:
    """Writes each line in one call to whatever stderr is now, so lines of several processes do not mix."""

    def write(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class _Foreign(logging.Handler):
    """Takes what libraries log (librdkafka, httpx) into our form; the same words at most once in ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.created - self._said.get(text, 0.0) < _SAME_WORDS_SECONDS:
            return
        if len(self._said) > _MOST_WORDS:
            self._said.clear()
        self._said[text] = record.created
        level = "WARNING" if record.levelno >= 30 else "DEBUG"  # whether something is lost, only our own code knows
        library = record.name.split(".", maxsplit=1)[0]
        get_logger(library)._say(
            level, f"{library}.said", "A library reports.", {"detail": text, "exc_info": record.exc_info}
        )


def get_logger(component: str) -> Logger:
    """Return the logger of *component*, a word such as `source` or `detect`."""
    return cast(Logger, structlog.get_logger(component=component))


def configure(level: Level = "INFO", form: Format = "auto", **context: str) -> None:
    """Set level and form for this process; *context* (such as `process="detect"`) stands on every line."""
    Logger.level = _LEVELS[level]
    _render(text=form == "text" or (form == "auto" and sys.stderr.isatty()))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**context)
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Foreign)] + [_Foreign()]
    root.setLevel(max(_LEVELS[level], logging.WARNING))


def _render(*, text: bool) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=10)
            ),
            mask,
            _as_text if text else _as_json,
        ],
        wrapper_class=Logger,
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=False,
    )


def mask(_logger: object, _method: str, event: Event) -> Event:
    """Replace what looks like a secret, by the name of its field or by its own form, also inside lists and maps."""
    for key, value in event.items():
        event[key] = MASK if value is not None and _SECRET_KEY.search(key) else _masked(value)
    return event


def mask_text(text: str) -> str:
    """Replace webhook secrets, bearer tokens, and the user and query parts of addresses by ``***``."""
    return _SECRET_TEXT.sub(MASK, text)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return mask(None, "", dict(value))
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value


def _ordered(event: Event) -> dict[str, Any]:
    head = {key: event.pop(key, None) for key in ("level", "event", "message")}
    head |= {key: event.pop(key) for key in _KNOWN if event.get(key) is not None}
    at = clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": at, **head, **{key: value for key, value in event.items() if value is not None}}


def _as_json(_logger: object, _method: str, event: Event) -> str:
    line = orjson.dumps(_ordered(event), default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
    return line.decode()


def _as_text(_logger: object, _method: str, event: Event) -> str:
    line = _ordered(event)
    head = f"{line.pop('at')[11:19]} {line.pop('level'):7} {line.pop('message')} [{line.pop('event')}]"
    return " ".join([head, *(f"{key}={value}" for key, value in line.items())])


_render(text=False)  # what a library user or a test sees before `configure`
