"""``python -m alive``: the ``alive`` command, as torchrun starts it."""

from alive.cli import main

main()
