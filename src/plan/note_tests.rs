//! Tests of `note`, from values.
