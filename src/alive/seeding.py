"""Seeds come from a stable digest of where in the run they are used."""

from __future__ import annotations

import hashlib


def digest(*parts: object) -> str:
    """Returns a 16-hex-digit name for a tuple of strings and integers, stable across machines."""
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def derive(*parts: object) -> int:
    """Returns a 63-bit seed for ``(run seed, stage, document id, index, ...)``.

    Never ``seed + index`` (neighbouring runs would share draws), never ``hash()`` (it changes with
    the process).
    """
    return int(digest(*parts), 16) >> 1
