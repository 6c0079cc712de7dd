//! Dataiku DSS: rows D01 to D12, against the simulator in `testdata/platforms/dss`.

mod conformance;
mod in_place;
mod integrations;
mod new_node;
mod node;
mod plan;
mod rework;
