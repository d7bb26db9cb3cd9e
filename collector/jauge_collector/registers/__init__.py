"""The registers: what people enter about meters, bills and events, dated and never overwritten."""
