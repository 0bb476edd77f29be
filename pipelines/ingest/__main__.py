"""`python -m pipelines.ingest`: the command `gdns_tf.ingest`, which has flags, help and exit codes as all commands do."""

from gdns_tf.ingest import run

if __name__ == "__main__":
    run()
