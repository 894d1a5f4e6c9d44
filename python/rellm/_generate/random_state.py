"""The state of torch's random numbers, so that an attempt that was given up has drawn none."""

from __future__ import annotations

from typing import Any


class RandomState:
    """The state at the time this is made: of the CPU's generator, and of the accelerator's that `device` is on."""

    def __init__(self, device: Any) -> None:
        import torch

        self._cpu = torch.get_rng_state()
        self._device = device
        # Where an accelerator has no generator that can be read, sampling after an attempt draws other numbers.
        self._module: Any = None if device.type in ("cpu", "meta") else getattr(torch, device.type, None)
        self._own = getattr(self._module, "get_rng_state", lambda _: None)(device)

    def restore(self) -> None:
        """Draw the same numbers again from here."""
        import torch

        torch.set_rng_state(self._cpu)
        if self._own is not None:
            self._module.set_rng_state(self._own, self._device)
