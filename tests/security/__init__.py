"""Nobody gets in: the shipped broker configuration, real programs, and who attacks them."""
