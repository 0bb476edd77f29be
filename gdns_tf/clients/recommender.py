"""Recommendations from an exported model, in this process or on a server."""

import os
from collections.abc import Mapping

from gdns_tf.clients.access import Access
from gdns_tf.clients.backend import LONGEST_ANSWER_MB, Limits, ModelSpec
from gdns_tf.clients.methods import RecommendMethods
from gdns_tf.clients.signatures import Signatures
from gdns_tf.serving.contract import TITLES


class Recommender(RecommendMethods):
    """A model that answers with DataFrames. Safe to use from several threads; close it, or use it in a `with` block.

    Every method raises a `ServingError`: `InvalidRequest` for what the model cannot make sense of, and from servers
    `Unavailable`, `DeadlineExceeded` and `NotFound`.

    Example:
      with Recommender.from_grpc("localhost:8500") as recommender:
          print(recommender.recommend([42, 7], k=10))
    """

    def __init__(self, signatures: Signatures) -> None:
        self.signatures = signatures

    @classmethod
    def from_saved_model(cls, path: str | os.PathLike, titles: Mapping | None = None) -> "Recommender":
        """A version folder, or the newest version of a model's folder, in this process.

        Args:
          path: the folder.
          titles: raw item id -> title; None: those of the export.
        """
        from gdns_tf.clients.in_process import SavedModel
        from gdns_tf.clients.titles import read_titles

        backend = SavedModel(path)
        signatures = Signatures(backend, titles)
        exported = backend.folder / TITLES
        if titles is None and exported.exists():
            signatures = signatures.with_titles(read_titles(exported, signatures.item_id_type))
        return cls(signatures)

    @classmethod
    def from_grpc(
        cls,
        address: str,
        model: str = "gdns",
        *,
        version: int | None = None,
        label: str = "",
        timeout: float = 10.0,
        titles: Mapping | None = None,
        access: Access | None = None,
        max_answer_mb: float = LONGEST_ANSWER_MB,
    ) -> "Recommender":
        """TensorFlow Serving's gRPC port, as `host:8500`; needs the extra `serving`.

        Args:
          address: host and port, `grpcs://host:8500` with TLS. Nothing is sent before the first call.
          model: the model's name there.
          version, label: which version, at most one of them; none: the newest.
          timeout: seconds for a call, attempts at a server that is not there, the pauses between them and the whole of
            the answer among them. A call for more than the model takes at once is several, each with as many.
          titles: raw item id -> title.
          access: certificates and a token; needs TLS.
          max_answer_mb: the longest answer that is taken, in megabytes.

        Raises:
          InputError: the address, the model or a limit is none that there can be.
          ServingError: a file of `access` is not what it should be.
        """
        from gdns_tf.clients.grpc_server import GrpcServer

        spec, limits = ModelSpec(model, version, label), Limits(timeout, max_answer_mb)
        return cls(Signatures(GrpcServer(address, spec, limits, access), titles))

    @classmethod
    def from_rest(
        cls,
        address: str,
        model: str = "gdns",
        *,
        version: int | None = None,
        label: str = "",
        timeout: float = 10.0,
        titles: Mapping | None = None,
        access: Access | None = None,
        max_answer_mb: float = LONGEST_ANSWER_MB,
    ) -> "Recommender":
        """TensorFlow Serving's REST port, as `http://host:8501`, or `https://...`; needs no TensorFlow.

        Arguments and errors are those of `from_grpc`. No redirect is followed, and no proxy, .netrc or other setting of
        the environment is looked at.
        """
        from gdns_tf.clients.rest_server import RestServer

        spec, limits = ModelSpec(model, version, label), Limits(timeout, max_answer_mb)
        return cls(Signatures(RestServer(address, spec, limits, access), titles))

    def with_titles(self, titles: Mapping) -> "Recommender":
        """The same model, with titles: raw item id -> title."""
        return Recommender(self.signatures.with_titles(titles))

    def describe(self) -> dict:
        """What the model says about itself: version, id types, exported k, flags, data fingerprint, metrics."""
        return self.signatures.describe()

    def __enter__(self) -> "Recommender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives back connections."""
        self.signatures.close()
