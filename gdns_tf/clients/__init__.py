"""Clients of an exported model: in process, or on TensorFlow Serving by gRPC or REST.

with Recommender.from_grpc("localhost:8500") as recommender:
    for row in recommender.recommend([42, 7], k=10):
        print(row.query, row.known, [entry.title for entry in row.entries])
"""

from gdns_tf.clients.errors import DeadlineExceeded, InvalidRequest, NotFound, ServingError, Unavailable
from gdns_tf.clients.recommender import Recommender
from gdns_tf.clients.results import Entry, Ranking, Recommendations, Row

__all__ = [
    "DeadlineExceeded",
    "Entry",
    "InvalidRequest",
    "NotFound",
    "Ranking",
    "Recommendations",
    "Recommender",
    "Row",
    "ServingError",
    "Unavailable",
]
