"""PKEF: its config and presets, its batches, its streams and heads."""
