"""Twenty annotators at once: how long they wait, and that nothing is lost, doubled or over-assigned."""
