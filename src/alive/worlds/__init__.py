"""Worlds: guests behind the doors of ``alive.doors``. The core imports none of them."""
