"""The demonstration: an invented region played through the real hub."""
