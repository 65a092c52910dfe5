"""Corpora: files, folders, URLs and tables read as batches of documents."""
