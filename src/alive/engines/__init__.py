"""What samples and learns: the torch rooms."""
