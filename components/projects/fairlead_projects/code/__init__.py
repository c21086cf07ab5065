"""A folder of code, and how it gets into the pods of a job."""
