"""Saves and restores the state of torch's random numbers around an attempt that may be given up."""

from __future__ import annotations

from typing import Any


class RandomState:
    """The state, when this is made, of the CPU's random generator and of that of the accelerator of `device`."""

    def __init__(self, device: Any) -> None:
        import torch

        self._cpu = torch.get_rng_state()
        self._device = device
        # If the accelerator's generator cannot be read, sampling draws other numbers after an attempt.
        self._module: Any = None if device.type in ("cpu", "meta") else getattr(torch, device.type, None)
        self._own = getattr(self._module, "get_rng_state", lambda _: None)(device)

    def restore(self) -> None:
        """Draw the same numbers again from here."""
        import torch

        torch.set_rng_state(self._cpu)
        if self._own is not None:
            self._module.set_rng_state(self._own, self._device)
