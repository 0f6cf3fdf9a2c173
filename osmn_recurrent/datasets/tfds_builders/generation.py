"""Examples made one after the other, or by Apache Beam where it is asked for."""

import tensorflow_datasets as tfds


class FolderBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder whose data are in a folder of the user's, `manual_dir`.

    Beam is used if the preparation was given a runner or pipeline options
    (`tfds build --beam_pipeline_options=runner=DirectRunner`). Both ways make
    the same examples.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _download_and_prepare(self, dl_manager, download_config):
        self._beam = bool(download_config.beam_runner or download_config.beam_options)
        super()._download_and_prepare(dl_manager, download_config)

    def _generate_examples(self, make, items):
        """`(key, example)` of each item.

        Args:
            make: function of an item, one that can be pickled.
            items: list, what each worker needs to make an example.
        """
        if not self._beam:
            return map(make, items)
        beam = tfds.core.lazy_imports.apache_beam
        return beam.Create(items) | beam.Map(make)
