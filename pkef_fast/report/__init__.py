"""What is written for people: audits, plots, times of stages."""
