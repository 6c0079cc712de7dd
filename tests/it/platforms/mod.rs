//! The rows of the requirements, each proved by a test that bears its id (`d07_…`), against the platforms' simulators in
//! `testdata/platforms`.

mod backups;
mod dataphin;
mod dss;
mod kyligence;
mod pachyderm;
mod shared;
