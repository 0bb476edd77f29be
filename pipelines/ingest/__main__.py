"""`python -m pipelines.ingest`: the command `gdns_tf.ingest`, with flags, help and exit codes as all commands have."""

from gdns_tf.ingest import run

if __name__ == "__main__":
    run()
