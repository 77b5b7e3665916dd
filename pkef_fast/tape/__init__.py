"""The tape (`autograd`), and each kernel with its adjoint as an operation (`ops`)."""
