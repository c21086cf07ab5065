"""Runs of pipelines on this machine: what is seen of their tasks, and the page that shows it."""
