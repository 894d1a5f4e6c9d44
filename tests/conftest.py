from __future__ import annotations

import os

# No test asks a network, and none needs more threads than it says.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
