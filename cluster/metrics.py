"""Changes of a run's metrics, handed to Ray, which exports them at each node's Prometheus endpoint.

Ray puts `ray_` before a name and `_total` behind a counter's, and labels of its own beside ours. A histogram
is counters with a label `le`, which is what Prometheus makes of one anyway: Ray's own takes one call for each
sample, here and again in its agent. Invariant: a few calls a second, however many samples there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maker.metrics import Change, Metric


class Instruments:
    """Ray's, made when there is something to tell. Ray must be running."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def publish(self, changes: Sequence[Change]) -> None:
        for change in changes:
            instrument = self._of(change.metric)
            if change.metric.kind == "counter":
                instrument.inc(change.value, change.labels)
            else:
                instrument.set(change.value, change.labels)

    def _of(self, metric: Metric) -> Any:
        from ray.util.metrics import Counter, Gauge

        if metric.name not in self._made:
            kind = Counter if metric.kind == "counter" else Gauge
            self._made[metric.name] = kind(metric.name, metric.meaning, ("run", *metric.labels))
        return self._made[metric.name]
