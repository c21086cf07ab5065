"""How datasets are written: tables as CSV, Parquet or arrays, images as files or arrays."""
