"""The paper's tables and figures by one command: which runs, their store, plan and results."""
