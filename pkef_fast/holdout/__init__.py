"""Target items held out of the train part, by one rule, for whoever must choose or learn."""
