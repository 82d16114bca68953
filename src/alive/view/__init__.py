"""A run's episodes as pages: from a document to what trained, read-only and on this machine."""

from alive.view.export import export_pages
from alive.view.server import make_app, serve

__all__ = ["export_pages", "make_app", "serve"]
