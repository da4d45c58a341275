"""Data: folders of videos, images, signals or arrays, decoded once, cut into samples and served in batches.

``dataset.open_dataset`` and ``loader.batches`` are all that training needs.
"""
