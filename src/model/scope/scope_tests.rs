//! Tests of `scope`, from values.
