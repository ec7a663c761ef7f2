"""Elasticsearch: the fields of every document, how records become documents, and the templates of data streams."""
