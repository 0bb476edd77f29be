"""A server of one model's folder, as many tests need it."""

from google.protobuf import text_format

from gdns_tf.server.model_server import ModelServer
from gdns_tf.server.models import ServerConfig
from gdns_tf.server.versions import ModelConfig


def serving(folder, *, config=None, name="gdns", poll_seconds=0.05, **options):
    """A server, to be used in a `with` block, on free ports.

    Args:
      folder: the model's.
      config: an entry of a models.config, whose base_path is replaced; None: the newest version.
      name: the model's, unless `config` says it.
      poll_seconds, **options: as for `ModelServer`.
    """
    server = ServerConfig()
    model = server.model_config_list.config.add()
    model.CopyFrom(config or ModelConfig(name=name))
    model.base_path = str(folder)
    return ModelServer(server, poll_seconds=poll_seconds, **options)


def model_config(text):
    """The single model of a models.config."""
    (config,) = text_format.Parse(text, ServerConfig()).model_config_list.config
    return config


def reload(server, folder, config):
    """Has a server follow another configuration of the same folder."""
    changed = ServerConfig()
    changed.model_config_list.config.add().CopyFrom(config)
    changed.model_config_list.config[0].base_path = str(folder)
    server.models.reload(changed)
