"""Draw pictures of sound and figures."""
