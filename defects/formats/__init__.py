"""Folder and annotation formats, one module each."""
