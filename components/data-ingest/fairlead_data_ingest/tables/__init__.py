"""Tables: read from files, compared with a schema, hashed."""
