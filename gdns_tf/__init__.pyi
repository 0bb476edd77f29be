from gdns_tf.api import Model as Model
from gdns_tf.api import fit as fit
from gdns_tf.api import load as load
from gdns_tf.clients.recommender import Recommender as Recommender
from gdns_tf.models.registry import SCORERS as SCORERS
from gdns_tf.models.scorer import Scorer as Scorer
from gdns_tf.models.scorer import ScorerConfig as ScorerConfig
from gdns_tf.runs.callbacks import Callback as Callback
from gdns_tf.samplers.base import Sampler as Sampler
from gdns_tf.samplers.base import SamplerConfig as SamplerConfig
from gdns_tf.samplers.base import Selection as Selection
from gdns_tf.samplers.registry import SAMPLERS as SAMPLERS
from pipelines.dataset import Dataset as Dataset
from pipelines.errors import InputError as InputError

__version__: str
