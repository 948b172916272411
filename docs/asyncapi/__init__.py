"""The description of the hub's events for machines (AsyncAPI 3), from the schemas and the catalogues."""

from docs.asyncapi.document import text

__all__ = ["text"]
