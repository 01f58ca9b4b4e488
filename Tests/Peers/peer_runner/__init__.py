"""Runs Mien and the vector indexes a user might take instead on the same files, in turn, in one run."""
