"""Source connectors: read a partner's system, publish plan changes."""
