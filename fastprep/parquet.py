def read_parquet(span, form, block_bytes, cut):
    yield from ()
