"""Reference implementations in plain Python, beside which the compiled kernels are tested."""
