"""Hyper-parameters for a user's data, found on its validation items: a space, trials, a study, a report.

Not to be taken for `gdns_tf.studies.tuning`, which gives every system of a comparison the same few alternatives.
"""
