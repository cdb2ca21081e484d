"""The rules of privacy, each with a test that fails where it is broken."""
