"""Sink connectors: bring the hub's news into a partner's system."""
