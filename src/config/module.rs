//! The tree of modules: which folders the configuration consists of, each read and parsed once.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use jiff::Timestamp;

use super::assignment::is_values_file;
use super::declare::{Declarations, declare};
use super::fields::{Constants, Fields, suggestion};
use super::files::{Folder, Record, Tree};
use super::git::{self, GitSource};
use super::variable::Variable;
use crate::lang::{Block, Env, parse_body};
use crate::model::name::ProviderName;
use crate::source::{Diagnostic, Diagnostics, Fault, SourceMap};

/// How deep modules may be nested.
const DEEPEST: usize = 32;

/// How many module blocks a configuration may have in all.
const MOST: usize = 10_000;

/// Attributes of a `module` block that are not inputs.
pub(super) const RESERVED: &[&str] = &["source", "for_each", "count"];

/// A module's text.
pub(super) struct ModuleText {
    /// What it declares.
    pub(super) declared: Declarations,
    /// Its variables.
    pub(super) variables: IndexMap<Arc<str>, Variable>,
    /// Whether all of it could be read and parsed. Where not, names may be missing for that reason alone.
    pub(super) complete: bool,
}

/// One use of a module.
pub(super) struct ModuleUse {
    /// Its text.
    pub(super) text: Rc<ModuleText>,
    /// Its folder.
    pub(super) folder: Folder,
    /// The module that uses it; `None` for the root.
    pub(super) parent: Option<usize>,
    /// The name that its parent gives it; empty for the root.
    pub(super) name: Arc<str>,
    /// The modules that it uses, by name, as indices.
    pub(super) children: BTreeMap<Arc<str>, usize>,
}

/// A git source and the commit that it meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    /// `module.eu` or `provider.mlflow`.
    pub what: String,
    /// The source as written, without credentials.
    pub source: String,
    /// The full id of the commit.
    pub commit: String,
}

/// Opens sources, each once.
pub(super) struct Sources {
    /// Where relative command-line paths start.
    pub(super) cwd: PathBuf,
    /// Where remote repositories are kept.
    pub(super) cache: PathBuf,
    /// Whether remote repositories are asked again.
    pub(super) refresh: bool,
    /// What was read.
    pub(super) record: Record,
    /// Commits opened so far.
    pub(super) commits: HashMap<String, Rc<git::Commit>>,
    /// Which commits they are.
    pub(super) pins: Vec<Pin>,
    /// Providers that change apart from the configuration and the program, and where they are.
    pub(super) outside: BTreeMap<ProviderName, String>,
}

impl Sources {
    /// The folder that a source names, seen from `here`.
    ///
    /// # Errors
    /// A clause that follows the quoted source.
    pub(super) fn open(&mut self, source: &str, here: &Folder, what: String) -> Result<Folder, String> {
        let Some(rest) = source.strip_prefix("git::") else {
            return if source.starts_with("./")
                || source.starts_with("../")
                || matches!(source, "." | "..")
                || source.starts_with('/')
            {
                Ok(here.join(source))
            } else {
                Err("is no source: it begins with `./`, `../` or `/` for a folder, or with `git::` for a repository".to_owned())
            };
        };
        let parsed = GitSource::parse(rest)?;
        let base = match &here.tree {
            Tree::Disk { base } => base.join(&here.path),
            Tree::Git(commit) => commit.workdir.as_ref().map_or_else(|| self.cwd.clone(), |workdir| workdir.join(&here.path)),
        };
        let key = format!("{}\n{}\n{:?}", base.display(), parsed.url, parsed.rev);
        let commit = match self.commits.get(&key) {
            Some(commit) => Rc::clone(commit),
            None => {
                let commit = Rc::new(git::open(&parsed, &base, &self.cache, self.refresh)?);
                self.commits.insert(key, Rc::clone(&commit));
                commit
            }
        };
        self.pins.push(Pin { what, source: commit.label.clone(), commit: commit.id.clone() });
        let label = if parsed.sub.is_empty() { commit.label.clone() } else { format!("{}//{}", commit.label, parsed.sub) };
        let folder = Folder { tree: Tree::Git(commit), path: PathBuf::from(&parsed.sub), label, record: self.record.clone() };
        folder.names().map_err(|problem| problem.detail)?;
        Ok(folder)
    }
}

/// Reads the root module and every module that is used, directly or not. The root comes first, parents before children.
pub(super) fn load_tree(
    root: Folder,
    opener: &mut Sources,
    now: Timestamp,
    sources: &mut SourceMap,
    problems: &mut Diagnostics,
) -> Vec<ModuleUse> {
    let mut texts: HashMap<String, Rc<ModuleText>> = HashMap::new();
    let mut uses: Vec<ModuleUse> = Vec::new();
    let text = Rc::new(read(&root, true, now, sources, problems));
    uses.push(ModuleUse { text, folder: root, parent: None, name: Arc::from(""), children: BTreeMap::new() });
    let mut index = 0;
    while index < uses.len() {
        let (text, folder) = (Rc::clone(&uses[index].text), uses[index].folder.clone());
        for (name, block) in &text.declared.modules {
            if uses.len() > MOST {
                problems.push(
                    Diagnostic::error("too many modules")
                        .detail(format!("there are more than {MOST}"))
                        .help("is it a module that uses itself with other values? use `for_each` of instances instead of modules in modules")
                        .at(block.header_span()),
                );
                return uses;
            }
            let Some(child) = open_child(index, name, block, &uses, &folder, opener, now, problems) else { continue };
            let identity = child.identity();
            let text = match texts.get(&identity) {
                Some(text) => Rc::clone(text),
                None => {
                    let text = Rc::new(read(&child, false, now, sources, problems));
                    texts.insert(identity, Rc::clone(&text));
                    text
                }
            };
            check_inputs(name, block, &text, problems);
            let child_index = uses.len();
            uses.push(ModuleUse { text, folder: child, parent: Some(index), name: Arc::clone(name), children: BTreeMap::new() });
            uses[index].children.insert(Arc::clone(name), child_index);
        }
        index += 1;
    }
    uses
}

#[expect(clippy::too_many_arguments, reason = "one caller; a struct would only name the same eight things again")]
fn open_child(
    parent: usize,
    name: &str,
    block: &Block,
    uses: &[ModuleUse],
    folder: &Folder,
    opener: &mut Sources,
    now: Timestamp,
    problems: &mut Diagnostics,
) -> Option<Folder> {
    let what = format!("module `{name}`");
    let env = Env { files: folder, ..Env::pure(now) };
    let constants = Constants(&env);
    let header = block.header_span();
    let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &constants, problems };
    let source = fields.required_text("source")?;
    let span = fields.span("source");
    let path = module_path(uses, parent, name);
    let child = match opener.open(&source, folder, path).and_then(|child| match child.names() {
        Ok(_) => Ok(child),
        Err(problem) => Err(format!("is missing: {}", problem.detail)),
    }) {
        Ok(child) => child,
        Err(reason) => {
            problems.push(
                Diagnostic::error("module not found")
                    .detail(format!("the source `{source}` of {what} {reason}"))
                    .fault(Fault::User)
                    .help("correct the source: a folder (`./modules/x`) or a repository (`git::URL//FOLDER?ref=REVISION`)")
                    .at(span),
            );
            return None;
        }
    };
    let identity = child.identity();
    let mut above = Some(parent);
    let mut depth = 0;
    while let Some(index) = above {
        depth += 1;
        if uses[index].folder.identity() == identity || depth > DEEPEST {
            problems.push(
                Diagnostic::error("module contains itself")
                    .detail(format!("{what} is `{}`, which is one of the modules that it stands in", child.display_self()))
                    .help("modules cannot be recursive; use `for_each` to repeat one")
                    .at(span),
            );
            return None;
        }
        above = uses[index].parent;
    }
    Some(child)
}

/// `module.eu.module.inner`.
fn module_path(uses: &[ModuleUse], parent: usize, name: &str) -> String {
    let mut path = format!("module.{name}");
    let mut above = Some(parent);
    while let Some(index) = above {
        if uses[index].parent.is_some() {
            path = format!("module.{}.{path}", uses[index].name);
        }
        above = uses[index].parent;
    }
    path
}

/// Reads and parses every configuration file of a folder.
fn read(folder: &Folder, is_root: bool, now: Timestamp, sources: &mut SourceMap, problems: &mut Diagnostics) -> ModuleText {
    let mut complete = true;
    let mut bodies = Vec::new();
    let mut found_any = false;
    let names = problems.take(folder.names()).unwrap_or_else(|| {
        complete = false;
        Vec::new()
    });
    for name in names.iter().filter(|name| name.ends_with(".hcl") && !is_values_file(name) && !name.ends_with(".lock.hcl")) {
        found_any = true;
        let body = problems.take(folder.text(name)).and_then(|text| {
            let source = sources.add(folder.display(name), text);
            problems.take(parse_body(sources, source))
        });
        match body {
            Some(body) => bodies.push(body),
            None => complete = false,
        }
    }
    if !found_any && complete {
        complete = false;
        problems.push(
            Diagnostic::error("no configuration").detail(format!("`{}` holds no `*.hcl` file", folder.display_self())).help(
                if is_root { "change to the folder of the configuration, or write one" } else { "correct the module's source" },
            ),
        );
    }
    let before = problems.len();
    let declared = declare(bodies, is_root, problems);
    // A block with a wrong label is missing from the tables: names that refer to it are not wrong for that.
    complete &= problems.len() == before;
    let env = Env { files: folder, ..Env::pure(now) };
    let variables =
        declared.variables.iter().map(|(name, block)| (Arc::clone(name), Variable::decode(name, block, &env, problems))).collect();
    ModuleText { declared, variables, complete }
}

/// Inputs must be variables of the module, and those without a default must be given.
fn check_inputs(name: &str, block: &Block, text: &ModuleText, problems: &mut Diagnostics) {
    for inner in &block.body.blocks {
        problems.push(
            Diagnostic::error("unknown block")
                .detail(format!("module `{name}` has no block `{}`", inner.ident))
                .help(format!("inputs are attributes: write `{} = …`", inner.ident))
                .at(inner.ident_span),
        );
    }
    if !text.complete {
        return;
    }
    let known: Vec<&str> = text.variables.keys().map(|name| &**name).collect();
    for (input, attribute) in &block.body.attributes {
        if RESERVED.contains(&&**input) || text.variables.contains_key(input) {
            continue;
        }
        problems.push(
            Diagnostic::error("unknown input")
                .detail(format!("module `{name}` declares no variable `{input}`"))
                .help(if &**input == "version" {
                    "the version of a module is the `ref` of its git source".to_owned()
                } else {
                    suggestion(input, &known)
                })
                .at(attribute.name_span),
        );
    }
    for (input, variable) in &text.variables {
        if variable.default.is_none() && !block.body.attributes.contains_key(input) {
            problems.push(
                Diagnostic::error("missing input")
                    .detail(format!("module `{name}` needs a value for its variable `{input}`"))
                    .help(format!("add `{input} = …`"))
                    .label(block.header_span(), "not given here")
                    .label(variable.span, "declared here"),
            );
        }
    }
}
