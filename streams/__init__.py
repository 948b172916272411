"""Stages: each is a pure core function with a topic on either side."""
