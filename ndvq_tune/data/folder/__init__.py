"""Folders of files, on this machine or behind a URI, as a source of data."""
