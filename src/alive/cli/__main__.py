"""``python -m alive.cli``."""

from alive.cli import main

main()
