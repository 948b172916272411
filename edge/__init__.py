"""The hub's own HTTP side."""
