//! Tests of `preflight`, from values.
