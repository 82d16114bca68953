"""All templates as versioned text files, and the one place that turns them into token ids."""

from alive.prompts.messages import MessagePrompt, MessageRenderer
from alive.prompts.neutral import REVIEW_LINE, neutralise, neutralise_mask
from alive.prompts.render import Renderer, make_renderer
from alive.prompts.templates import TemplateSet, load_templates

__all__ = [
    "REVIEW_LINE",
    "MessagePrompt",
    "MessageRenderer",
    "Renderer",
    "TemplateSet",
    "load_templates",
    "make_renderer",
    "neutralise",
    "neutralise_mask",
]
