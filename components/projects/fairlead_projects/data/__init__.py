"""What a dataset on disk consists of, before it is published."""
