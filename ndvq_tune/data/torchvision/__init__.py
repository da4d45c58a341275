"""Torchvision's data sets as a source of data."""
