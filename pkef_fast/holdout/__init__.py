"""Target items held out of the train part, by one rule, for whoever needs to choose or learn."""
