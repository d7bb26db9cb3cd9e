"""What comes from outside, made up: shortly in the tests, for long by `make fuzz`."""
