"""One file a library; each imports its library lazily and none imports another."""
