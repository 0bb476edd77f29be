"""Turns the source of any reader into the folder of an ingested data set (`pipelines.ingested`), with Apache Beam.

What is read, filtered, numbered, split and drawn is exactly what `pipelines.load.load_dataset` gives of the same
settings; but nothing that grows with the interactions is ever whole in memory.

    python -m pipelines.ingest --dataset=table --data_dir=clicks/ --output_dir=data/clicks

In order:

    sources, pieces    what each reader's source is cut into, and the reading of a piece
    partition          rows go to buckets by a hash of their user               a task a piece
    buckets            repeats, filters, times, numbers of the items            a task a bucket, for each of these
    shards             split, negatives, records                                a task a file of the result
    run                what is decided in between, from counts alone

Tasks hand on files in a folder within the result's, which all workers must reach; what passes through Beam is their
numbers. So memory is bounded on any runner (Beam's local one holds all that it groups), a task that is tried again
overwrites its own file, and what was broken off goes on where it was.
"""
