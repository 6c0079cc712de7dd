//! Tests of `catalogue`, from values.
