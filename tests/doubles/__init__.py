"""Stand-ins for what a test machine lacks or what would be slow: small models, fakes."""
