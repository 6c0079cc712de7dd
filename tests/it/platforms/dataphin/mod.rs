//! Rows A01 to A16: the provider `dataphin` against the Manager and the data service in `testdata/platforms/dataphin`.

mod choosing;
mod downtime;
mod dumping;
mod failing;
mod semi_downtime;
mod verifying;
mod world;
