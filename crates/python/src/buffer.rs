//! Rows of 32-bit words in memory that belongs to numpy, torch or anyone else with the buffer protocol.

use pyo3::buffer::{ElementType, PyUntypedBuffer};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

/// A writable array of one or two dimensions of 32-bit integers, contiguous along the last.
pub(crate) struct Rows {
    buffer: PyUntypedBuffer,
    rows: usize,
    columns: usize,
    /// From row to row, in bytes.
    stride: isize,
}

impl Rows {
    /// The rows of `out`, each of which must hold at least `words` words.
    pub(crate) fn of(out: &Bound<'_, PyAny>, words: usize) -> PyResult<Self> {
        let buffer = match PyUntypedBuffer::get(out) {
            Ok(buffer) => buffer,
            // A torch tensor: its memory as numpy sees it.
            Err(_) if out.hasattr(intern!(out.py(), "numpy"))? => {
                let array = out.call_method0(intern!(out.py(), "numpy")).map_err(|error| {
                    let message = "out: the memory of this tensor cannot be written: pass a contiguous int32 tensor \
                                   on the CPU that needs no gradient";
                    let raised = PyTypeError::new_err(message);
                    raised.set_cause(out.py(), Some(error));
                    raised
                })?;
                PyUntypedBuffer::get(&array)?
            }
            Err(_) => {
                let name = out.get_type().qualname()?;
                return Err(PyTypeError::new_err(format!(
                    "out: expected an int32 or uint32 array of numpy or torch, not {name}"
                )));
            }
        };
        let is_word = matches!(
            ElementType::from_format(buffer.format()),
            ElementType::SignedInteger { bytes: 4 } | ElementType::UnsignedInteger { bytes: 4 }
        );
        // numpy marks an order that is not the machine's, and also what is not aligned, in front of the letter.
        let swapped = if cfg!(target_endian = "little") { b">!".as_slice() } else { b"<".as_slice() };
        let is_swapped = buffer.format().to_bytes().first().is_some_and(|first| swapped.contains(first));
        if !is_word || buffer.item_size() != 4 || is_swapped {
            let format = buffer.format().to_string_lossy();
            return Err(PyTypeError::new_err(format!(
                "out: expected elements of int32 or uint32, not of format {format:?}"
            )));
        }
        if buffer.readonly() {
            return Err(PyValueError::new_err("out: the array is read-only"));
        }
        let (rows, columns, stride, step) = match (buffer.shape(), buffer.strides()) {
            (&[columns], &[step]) => (1, columns, 0, step),
            (&[rows, columns], &[stride, step]) => (rows, columns, stride, step),
            (shape, _) => {
                let dimensions = shape.len();
                return Err(PyValueError::new_err(format!("out: expected one or two dimensions, not {dimensions}")));
            }
        };
        if buffer.suboffsets().is_some() || (step != 4 && columns > 1) {
            return Err(PyValueError::new_err(
                "out: rows must be contiguous: pass an array without steps or transposition",
            ));
        }
        let address = buffer.buf_ptr() as usize;
        let word = align_of::<u32>();
        if address % word != 0 || (rows > 1 && stride.unsigned_abs() % word != 0) {
            return Err(PyValueError::new_err("out: rows must be aligned to their elements: pass a copy of the array"));
        }
        if rows > 1 && stride.unsigned_abs() < columns * 4 {
            return Err(PyValueError::new_err("out: rows must not overlap"));
        }
        if columns < words {
            return Err(PyValueError::new_err(format!(
                "out: a row has {columns} words, but a mask of this vocabulary needs {words}"
            )));
        }
        Ok(Rows { buffer, rows, columns, stride })
    }

    /// One row. Nobody else may write to it while it is in use; that is up to the caller's caller, as with all of numpy.
    #[expect(unsafe_code, reason = "the memory belongs to Python")]
    pub(crate) fn row(&mut self, row: isize) -> PyResult<&mut [u32]> {
        if usize::try_from(row).map_or(true, |row| row >= self.rows) {
            return Err(PyIndexError::new_err(format!("row {row} is out of range: out has {} rows", self.rows)));
        }
        // SAFETY: `buffer` keeps the memory alive and in place; it is writable, its items are 4 bytes, and the row
        // has `columns` of them, contiguous, and each row is aligned, as `of` has
        // checked.
        Ok(unsafe {
            let start = self.buffer.buf_ptr().byte_offset(self.stride * row).cast::<u32>();
            std::slice::from_raw_parts_mut(start, self.columns)
        })
    }

    /// The first `count` rows, which do not overlap.
    #[expect(unsafe_code, reason = "the memory belongs to Python")]
    pub(crate) fn rows(&mut self, count: usize) -> PyResult<Vec<&mut [u32]>> {
        if count > self.rows {
            return Err(PyValueError::new_err(format!("out has {} rows, but there are {count} matchers", self.rows)));
        }
        (0..count)
            .map(|row| {
                let words = self.row(row as isize)?;
                // SAFETY: as in `row`; `of` has checked that rows do not overlap, so that each is borrowed once.
                Ok(unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr(), words.len()) })
            })
            .collect()
    }
}
