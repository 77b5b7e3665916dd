"""What is computed from data and trained models: tables, no files and no pictures."""
