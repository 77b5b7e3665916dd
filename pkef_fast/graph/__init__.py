"""Graphs of behaviours, and an order of their nodes that caches like."""
