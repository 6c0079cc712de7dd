//! Tests of `requirement`, from values.
