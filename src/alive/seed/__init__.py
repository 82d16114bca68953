"""The embedded world: the primer corpus in three domains, and the seed model built from it."""
