"""Detection: which pairs of plans are findings now, and what changed since it was last told."""

from samenloop.detection.detector import Detector
from samenloop.detection.findings import FindingEvent
from samenloop.detection.rows import Row, tick

__all__ = ["Detector", "FindingEvent", "Row", "tick"]
