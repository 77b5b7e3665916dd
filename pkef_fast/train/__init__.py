"""Training that knows no model: the protocol, the trainer, the loop of epochs."""
