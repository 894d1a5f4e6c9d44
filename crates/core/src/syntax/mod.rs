//! Text of a constraint → expression tree, in the dialects of Python's `re` and `regex`.

pub mod ast;
