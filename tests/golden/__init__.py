"""Small sites worked out by hand, judged through the whole way from readings to report."""
