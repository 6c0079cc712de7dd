//! Dataiku DSS: rows D01 to D12, against the simulator in `testdata/platforms/dss`.

mod conformance;
mod govern;
mod in_place;
mod integrations;
mod new_node;
mod node;
mod order;
mod plan;
mod rework;
