"""The samplers by name; a new one needs its line here. Other packages add theirs: see `gdns_tf.registry`."""

from gdns_tf.registry import Registry
from gdns_tf.samplers.advir import AdvIr
from gdns_tf.samplers.ahns import Ahns
from gdns_tf.samplers.aobpr import Aobpr
from gdns_tf.samplers.base import Sampler
from gdns_tf.samplers.dns import Dns
from gdns_tf.samplers.dns_mn import DnsMN
from gdns_tf.samplers.enmf import Enmf
from gdns_tf.samplers.gdns import Gdns, GdnsWithoutG
from gdns_tf.samplers.gdns_tracked import GdnsTracked
from gdns_tf.samplers.irgan import Irgan
from gdns_tf.samplers.mixgcf import MixGcf
from gdns_tf.samplers.nncf import Nncf
from gdns_tf.samplers.rns_as import RnsAs
from gdns_tf.samplers.softmax import Softmax
from gdns_tf.samplers.srns import Srns
from gdns_tf.samplers.uniform import Uniform

SAMPLERS: Registry[Sampler] = Registry(
    "sampler",
    "gdns_tf.samplers",
    {
        "uniform": Uniform,
        "nncf": Nncf,
        "aobpr": Aobpr,
        "dns": Dns,
        "dns_mn": DnsMN,
        "softmax": Softmax,
        "ahns": Ahns,
        "mixgcf": MixGcf,
        "irgan": Irgan,
        "rns_as": RnsAs,
        "advir": AdvIr,
        "srns": Srns,
        "enmf": Enmf,
        "gdns": Gdns,
        "gdns_without_g": GdnsWithoutG,
        "gdns_tracked": GdnsTracked,
    },
)
