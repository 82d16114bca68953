"""The roles of the one policy: each goes inputs -> prompts -> Sampler -> parsed objects.

``pose``, ``solve`` and ``review`` are coroutines over a ``Sampler`` and a ``Renderer``, each for
one document, task or attempt, and know nothing of one another. The seed of a request is a digest of
the seed given, the role and what it is asked about: it does not depend on its neighbours.
"""
