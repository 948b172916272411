"""The read model of the edge: SQLite, filled from Kafka by a follower, asked by routes for a viewer.

news = News()
follower = Follower(hub.kafka, codec, path, source=urn, metric_crs=hub.hub.metric_crs, news=news)
model = ReadModel(path, metric_crs=hub.hub.metric_crs, news=news)
"""

from edge.read_model.areas import CRS_URIS
from edge.read_model.cursors import CursorExpired, HistoryExpired
from edge.read_model.feed import Events
from edge.read_model.follower import Follower
from edge.read_model.items import Collection, Item, Page
from edge.read_model.layout import check_sqlite
from edge.read_model.model import MOST_PER_PAGE, Period, ReadModel, SystemSeen
from edge.read_model.news import News
from edge.read_model.writing import Keep

__all__ = [
    "CRS_URIS",
    "MOST_PER_PAGE",
    "Collection",
    "CursorExpired",
    "Events",
    "Follower",
    "HistoryExpired",
    "Item",
    "Keep",
    "News",
    "Page",
    "Period",
    "ReadModel",
    "SystemSeen",
    "check_sqlite",
]
