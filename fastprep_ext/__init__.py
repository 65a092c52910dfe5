"""The compiled core: plain buffers in, plain buffers out. Users import `fastprep` instead."""
