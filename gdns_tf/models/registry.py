"""The scorers by name; a new one needs its line here."""

from gdns_tf.models.gmf import GMF
from gdns_tf.models.history import History
from gdns_tf.models.scorer import Scorer
from gdns_tf.models.svdpp import SvdPp
from gdns_tf.registry import Registry

SCORERS: Registry[Scorer] = Registry("scorer", "gdns_tf.scorers", {"gmf": GMF, "history": History, "svdpp": SvdPp})
