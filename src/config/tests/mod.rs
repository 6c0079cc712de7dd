//! Whole configurations in temporary folders.

#![expect(clippy::disallowed_methods, reason = "tests make files")]

mod bad_input;
mod estate;
mod modules;
mod past;
mod provider;
mod scale;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{LoadOptions, Loaded, VarSource, load};
use crate::model::driver::{ArgSchema, DriverSchema};
use crate::source::{Diagnostics, SourceMap};

const fn arg(name: &'static str, required: bool) -> ArgSchema {
    ArgSchema { name, ty: "any", required, summary: "What it means." }
}

/// Drivers as the sample provider uses them.
pub(super) const DRIVERS: &[DriverSchema] = &[
    DriverSchema {
        name: "exec",
        summary: "Runs a command.",
        args: &[arg("command", true), arg("environment", false), arg("directory", false)],
        results: &[],
        observes: true,
    },
    DriverSchema {
        name: "file",
        summary: "Reads and changes files.",
        args: &[
            arg("action", false),
            arg("path", false),
            arg("source", false),
            arg("target", false),
            arg("required", false),
            arg("digest", false),
            arg("recursive", false),
            arg("saved", false),
        ],
        results: &[],
        observes: true,
    },
    DriverSchema {
        name: "template",
        summary: "Renders a document.",
        args: &[arg("source", true), arg("path", true), arg("values", false), arg("mode", false)],
        results: &[],
        observes: false,
    },
    DriverSchema { name: "manual", summary: "Waits for a person.", args: &[arg("text", true)], results: &[], observes: false },
];

/// A configuration in a temporary folder.
pub(super) struct Case {
    pub(super) dir: TempDir,
    pub(super) sources: SourceMap,
    pub(super) vars: Vec<VarSource>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) root: PathBuf,
}

impl Case {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let case = Self {
            dir: TempDir::new().unwrap(),
            sources: SourceMap::new(),
            vars: Vec::new(),
            env: BTreeMap::new(),
            root: PathBuf::from("."),
        };
        for (path, content) in files {
            case.write(path, content);
        }
        case
    }

    pub(super) fn write(&self, path: &str, content: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(super) fn load(&mut self) -> Result<Loaded, Diagnostics> {
        let options = LoadOptions {
            vars: self.vars.clone(),
            env: self.env.clone(),
            cwd: self.dir.path().to_path_buf(),
            provider_dirs: vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/providers")],
            embedded: &BTreeMap::new(),
            drivers: DRIVERS,
            now: "2026-11-21T00:00:00Z".parse::<Timestamp>().unwrap(),
            tool_version: "0.1.0".to_owned(),
            refresh_modules: false,
        };
        load(&self.root.clone(), &options, &mut self.sources)
    }

    pub(super) fn loaded(&mut self) -> Loaded {
        match self.load() {
            Ok(loaded) => loaded,
            Err(problems) => panic!("{}", self.told(&problems)),
        }
    }

    /// Every problem: place, message, remedy.
    pub(super) fn told(&self, problems: &Diagnostics) -> String {
        let dir = self.dir.path().display().to_string();
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| {
                let places: Vec<String> = problem.labels.iter().map(|label| self.sources.place(label.span)).collect();
                let help = problem.help.as_deref().unwrap_or("NO HELP");
                format!("[{}] {problem} ({help})", places.join(" "))
            })
            .collect();
        lines.join("\n").replace(&dir, "DIR")
    }

    /// The problems of a configuration that must not load.
    pub(super) fn problems(&mut self) -> String {
        match self.load() {
            Ok(_) => panic!("it loads"),
            Err(problems) => self.told(&problems),
        }
    }
}

/// The problems of one file.
pub(super) fn problems(text: &str) -> String {
    Case::new(&[("main.hcl", text)]).problems()
}

/// An environment and an instance of the sample provider, with more in the instance.
pub(super) fn sample(inside: &str) -> String {
    format!(
        "environment \"test\" {{}}\ninstance \"sample\" \"a\" {{\n  environment = environment.test\n  version = \"1.0.0\"\n  root = \"/srv/a\"\n{inside}\n}}\n"
    )
}
