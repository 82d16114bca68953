"""Tensors only: batches of records, their likelihood, one optimiser step."""
