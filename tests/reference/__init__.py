"""Reference implementations in plain Python, with which the compiled kernels are compared."""
