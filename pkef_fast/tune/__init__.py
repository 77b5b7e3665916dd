"""Searching a model's fields by validation items."""
