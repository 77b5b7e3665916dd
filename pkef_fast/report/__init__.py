"""What is written for people: audits, reports of runs, plots, times of stages, citations."""
