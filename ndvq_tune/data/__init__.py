"""Data: folders of videos, images, signals or arrays, decoded once, cut into samples and served in batches.

``dataset.open_dataset`` and ``batches.loader.batches`` are all that training needs. A room imports from those further
down in this list only:

* ``dataset``, ``division``: a data set, checked and ready; its training and its test part.
* ``batches``: what a model gets: samples cut from rows, random changes, batches read ahead.
* ``folder``, ``torchvision``: where data comes from, each with a ``source``.
* ``sample_data``: a small data set of each type, made where none is there.
* ``cache``: rows on disk, decoded once from a source.
* ``readers``: a decoder for each kind of file.
"""
