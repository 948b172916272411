"""Faust's own measurements, on our metrics."""

from __future__ import annotations

from typing import Any

import faust

from samenloop import metrics

_NAME = "health"


class Monitor(faust.Monitor):
    """Counts what Faust tells a sensor in the catalogue of `samenloop.metrics`.

    Not Faust's Prometheus sensor: it clears series at each rebalance, and goes blind when a worker is stuck.
    """

    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None) -> None:
        """Count an event that an agent is done with."""
        super().on_stream_event_out(tp, offset, stream, event, state)
        if state is not None and state.get("time_total") is not None:
            metrics.PROCESSOR_DURATION_SECONDS.labels(processor=_NAME).observe(state["time_total"])

    def on_send_completed(self, producer: Any, state: Any, metadata: Any) -> None:
        """Count a record that Kafka has."""
        super().on_send_completed(producer, state, metadata)
        metrics.PRODUCER_RECORDS_TOTAL.labels(topic=self._topic(metadata.topic), outcome="acked").inc()

    def on_send_error(self, producer: Any, exc: BaseException, state: Any) -> None:
        """Count a record that Kafka does not have; which topic it was for is not told."""
        super().on_send_error(producer, exc, state)
        metrics.PRODUCER_RECORDS_TOTAL.labels(topic=_NAME, outcome="failed").inc()

    def on_rebalance_end(self, app: Any, state: dict[str, Any]) -> None:
        """Count a rebalance, recovery of the tables included."""
        super().on_rebalance_end(app, state)
        metrics.CONSUMER_REBALANCES_TOTAL.labels(group=_NAME).inc()
        metrics.CONSUMER_REBALANCE_DURATION_SECONDS.labels(group=_NAME).observe(state["latency_end"])

    def _topic(self, full_name: str) -> str:
        prefix = str(self.kafka_prefix)
        return full_name.removeprefix(prefix).removesuffix(".v1")

    kafka_prefix = ""
    """Prefix of topic names, which labels do without."""
