"""One file or folder a library; each imports its library lazily and none imports another."""
