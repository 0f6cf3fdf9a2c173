"""`tensorflow-datasets` builders: prepare once, read from anywhere.

    tfds build --imports=osmn_recurrent.datasets.tfds_builders.prepared_davis \\
        prepared_davis --manual_dir=DAVIS --data_dir=PREPARED

or `osmn prepare`. `datasets.prepared` reads what they write.
"""
