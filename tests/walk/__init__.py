"""The whole way of a finding, with nothing replaced: street, node, broker, collector, people, publication."""
