"""Several processes behind one policy: ranks that learn, and others that sample for them."""
