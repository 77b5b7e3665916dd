"""Files: written whole or not at all, arrays with facts, run folders."""
