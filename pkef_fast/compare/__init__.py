"""Runs of one data set side by side: pools of seeds, figures by group, significance."""
