"""Connectors: one file per foreign protocol. Sources read partners' systems, sinks write to them."""
