"""Clients of an exported model: in process, or on TensorFlow Serving by gRPC or REST.

    with Recommender.from_rest("http://localhost:8501") as recommender:
        print(recommender.recommend([42, 7], k=10))

`Recommender` answers with DataFrames; its `signatures` has the same methods with answers in arrays.
"""

from gdns_tf.clients.access import Access
from gdns_tf.clients.errors import (
    AccessDenied,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    ServingError,
    Unavailable,
)
from gdns_tf.clients.recommender import Recommender
from gdns_tf.clients.results import Entry, Ranking, Recommendations, Row
from gdns_tf.clients.signatures import Signatures

__all__ = [
    "Access",
    "AccessDenied",
    "DeadlineExceeded",
    "Entry",
    "InvalidRequest",
    "NotFound",
    "Ranking",
    "Recommendations",
    "Recommender",
    "Row",
    "ServingError",
    "Signatures",
    "Unavailable",
]
