//! What a driver takes and gives, as a table: for checking providers, and for the reference; and what it would change.

/// A driver's description.
#[derive(Debug, Clone, Copy)]
pub struct DriverSchema {
    /// `exec`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Arguments, in the order of the reference.
    pub args: &'static [ArgSchema],
    /// What is in `result`.
    pub results: &'static [ResultSchema],
    /// Whether it only looks: then it may be used for facts.
    pub observes: bool,
}

/// An argument of a driver.
#[derive(Debug, Clone, Copy)]
pub struct ArgSchema {
    /// Its name.
    pub name: &'static str,
    /// Its type, as HCL says it.
    pub ty: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// What it means, its unit, and what it is where it is not given.
    pub summary: &'static str,
}

/// An attribute of a driver's result.
#[derive(Debug, Clone, Copy)]
pub struct ResultSchema {
    /// Its name.
    pub name: &'static str,
    /// Its type, as HCL says it.
    pub ty: &'static str,
    /// What it means.
    pub summary: &'static str,
}

/// A document before and after.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Diff {
    /// Which document.
    pub path: String,
    /// Unified diff, in which secrets are hidden; or a sentence where there is none to show.
    pub text: String,
}
