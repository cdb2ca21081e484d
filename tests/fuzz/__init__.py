"""Messages that are broken on purpose: a committed corpus, and a fuzzer that looks for more."""
