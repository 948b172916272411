"""The dashboards, in the order in which an operator meets them."""

from deploy.grafana.boards.detection import DETECTION
from deploy.grafana.boards.overview import OVERVIEW
from deploy.grafana.boards.partners import PARTNERS
from deploy.grafana.boards.sources import SOURCES
from deploy.grafana.boards.streams import STREAMS

BOARDS = (OVERVIEW, SOURCES, STREAMS, PARTNERS, DETECTION)
