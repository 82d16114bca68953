"""Whether a URL of the settings can be used, and be shown to others."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["server_fault", "teacher_fault"]


def teacher_fault(url: str) -> str:
    """Says what is wrong with the URL of a teacher, without a word of what may be secret in it."""
    return _fault(
        url,
        "ALIVE_TEACHER_KEY",
        f"is neither 'auto' nor an http(s) URL: {url!r}; an endpoint on this machine looks "
        "like http://127.0.0.1:8000/v1",
    )


def server_fault(url: str) -> str:
    """Says what is wrong with the URL of a server that samples, likewise."""
    return _fault(
        url,
        "ALIVE_SAMPLER_KEY",
        f"names no http(s) URL: {url!r}; a server on this machine looks like http://127.0.0.1:8000",
    )


def _fault(url: str, variable: str, unusable: str) -> str:
    """Says what is wrong with an endpoint's URL; empty if it can be used.

    Settings are recorded: in the run folder, its report, and by trackers on other machines.

    Args:
        url: What was given.
        variable: The environment variable in which its key belongs.
        unusable: What to say of what is no such URL.
    """
    # Looked for in the whole text: what is no proper URL may hold a secret all the same.
    if any(sign in url for sign in "@?#"):
        return (
            "holds a user name, a password or a query, and settings are recorded where others "
            f"read them. Leave them out; a key goes into the environment variable {variable}"
        )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    return "" if usable else unusable
