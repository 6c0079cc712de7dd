//! Tests of `route`, from values.
