"""Samenloop: one shared truth of the plans of works of many organisations, exchanged by events."""

__version__ = "0.1.0"
