"""The protocols: each turns bytes into messages and answers into bytes, and nothing more."""
