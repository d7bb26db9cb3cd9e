"""What of an approved quarter the public may see: pages, open data and their catalogue."""
