"""The space-time grid: which plans come within reach of each other, and what a batch of changes does to that.

A plan is a *slot* (a number the caller chooses) with a geometry in metres, a period in days and a group. A pair of
plans *holds* when the distance between the geometries is at most `distance_m` (to half a millimetre, as findings
decide on millimetres) and at most `gap_days` free days lie between the periods. Pure numpy and shapely.
"""

from samenloop.kernel.kernel import Kernel, Pairs

__all__ = ["Kernel", "Pairs"]
