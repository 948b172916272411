"""The detection kernel: which plans are near each other in space and time, kept up to date batch by batch.

Pure arithmetic on numpy arrays and shapely geometries; nothing here knows what a plan is. Plans are *slots*: integers
of the caller's choice.
"""

from samenloop.kernel.kernel import Kernel, Pairs

__all__ = ["Kernel", "Pairs"]
