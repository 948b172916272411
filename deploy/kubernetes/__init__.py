"""Manifests for Kubernetes; those that follow from the code are written by ``python -m deploy.kubernetes``."""
