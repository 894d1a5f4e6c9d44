"""Rows of 32-bit words in memory that belongs to numpy or torch, with the checks of the automaton's matcher."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def row_of(out: Any, row: int, words: int) -> npt.NDArray[np.uint32]:
    """A row of `out` to write into, as uint32."""
    if not isinstance(out, np.ndarray):
        if not hasattr(out, "numpy"):
            raise TypeError(f"out: expected an int32 or uint32 array of numpy or torch, not {type(out).__qualname__}")
        try:
            out = out.numpy()  # a torch tensor: its memory as numpy sees it
        except (TypeError, RuntimeError) as error:
            raise TypeError(
                "out: the memory of this tensor cannot be written: pass a contiguous int32 tensor on the CPU that "
                "needs no gradient"
            ) from error
    if out.dtype not in (np.dtype(np.int32), np.dtype(np.uint32)):
        raise TypeError(f"out: expected elements of int32 or uint32, not of {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out: the array is read-only")
    if out.ndim not in (1, 2):
        raise ValueError(f"out: expected one or two dimensions, not {out.ndim}")
    rows: npt.NDArray[Any] = out.reshape(1, -1) if out.ndim == 1 and out.flags.c_contiguous else out
    if rows.ndim == 1 or (rows.shape[1] > 1 and rows.strides[1] != 4):
        raise ValueError("out: rows must be contiguous: pass an array without steps or transposition")
    if rows.shape[1] < words:
        raise ValueError(f"out: a row has {rows.shape[1]} words, but a mask of this vocabulary needs {words}")
    if not 0 <= row < rows.shape[0]:
        raise IndexError(f"row {row} is out of range: out has {rows.shape[0]} rows")
    target: npt.NDArray[np.uint32] = rows[row].view(np.uint32)
    return target
