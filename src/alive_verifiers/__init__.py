"""What verifiers loads by the name ``alive-verifiers``: it knows top-level modules alone."""

from alive.integrations.verifiers import DocumentTaskset, SelfPlayEnv, SingleReply

__all__ = ["DocumentTaskset", "SelfPlayEnv", "SingleReply"]
