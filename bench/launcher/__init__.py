"""How much CPU time the launcher of a large job needs."""
