"""The roles of the one policy: each goes inputs -> prompts -> Sampler -> parsed objects.

``pose``, ``solve`` and ``review`` are plain functions over a ``Sampler`` and a ``Renderer``, and
know nothing of one another.
"""
