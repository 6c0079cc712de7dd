//! Kyligence Enterprise: rows K01 to K12, against the simulator in `testdata/platforms/kyligence`.

mod client;
mod hands;
mod hosts;
mod preflight;
mod rollback;
mod story;
mod upgrade;
mod world;
