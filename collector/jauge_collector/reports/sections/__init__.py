"""The sections of a written report, each of blocks (`document`) in one language (`prose`)."""
