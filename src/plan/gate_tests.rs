//! Tests of `gate`, from values.
