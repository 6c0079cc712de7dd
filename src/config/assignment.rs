//! Values for the root module's variables, from wherever they may be given, the later over the earlier.
//!
//! Precedence, lowest first, as Terraform has it: environment (`WINDLASS_VAR_name`), `windlass.vars.hcl`, `windlass.vars.json`,
//! `*.auto.vars.hcl` and `*.auto.vars.json` in the order of their names, then `--var` and `--var-file` in the order of the command
//! line. Where a sensitive variable is declared, nothing here quotes a file of values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use super::fields::{Constants, Evaluate as _, suggestion};
use super::files::{Folder, Tree, read_named};
use super::variable::Variable;
use super::{LoadOptions, VarSource};
use crate::lang::{Env, Expr, Type, Value, parse_body, parse_expr};
use crate::source::{Diagnostic, Diagnostics, SourceMap, Span};

/// What the environment variable of a variable begins with.
const PREFIX: &str = "WINDLASS_VAR_";

/// Whether a file of the configuration's folder holds values, not configuration.
pub(super) fn is_values_file(name: &str) -> bool {
    name.ends_with(".vars.hcl") || name.ends_with(".vars.json")
}

/// A value, and where it was given.
struct Given {
    value: Value,
    place: Option<Span>,
    from: String,
}

/// Collects what is given.
struct Assignments<'a> {
    declared: &'a IndexMap<Arc<str>, Variable>,
    env: &'a Env<'a>,
    sources: &'a mut SourceMap,
    given: BTreeMap<Arc<str>, Given>,
    quotable: bool,
    problems: &'a mut Diagnostics,
}

/// The value of every declared variable of the root module; a variable without a usable one is left out, and told.
pub(super) fn assign(
    declared: &IndexMap<Arc<str>, Variable>,
    folder: &Folder,
    options: &LoadOptions<'_>,
    env: &Env<'_>,
    sources: &mut SourceMap,
    problems: &mut Diagnostics,
) -> BTreeMap<Arc<str>, Value> {
    let quotable = !declared.values().any(|variable| variable.sensitive);
    let mut all = Assignments { declared, env, sources, given: BTreeMap::new(), quotable, problems };
    for (name, text) in &options.env {
        if let Some(variable) = name.strip_prefix(PREFIX).and_then(|name| declared.get(name)) {
            all.text(variable, text, format!("the environment variable {name}"));
        }
    }
    // The digest is over the values that are not sensitive, not over the files that hold others, too.
    let folder = &folder.unrecorded();
    let names = folder.names().unwrap_or_default();
    let fixed = ["windlass.vars.hcl", "windlass.vars.json"].into_iter().filter(|name| names.iter().any(|known| known == name));
    let auto =
        names.iter().map(String::as_str).filter(|name| name.ends_with(".auto.vars.hcl") || name.ends_with(".auto.vars.json"));
    for name in fixed.chain(auto) {
        if let Some(text) = all.problems.take(folder.text(name)) {
            all.file(&folder.display(name), text);
        }
    }
    for source in &options.vars {
        match source {
            VarSource::Assign { name, value } => match declared.get(name.as_str()) {
                Some(variable) => all.text(variable, value, format!("--var {name}")),
                None => all.undeclared(name, None, true),
            },
            VarSource::File(path) => {
                let earlier = match &folder.tree {
                    Tree::Git(_) => path.to_str().and_then(|name| folder.text(name).ok()),
                    Tree::Disk { .. } => None,
                };
                let text = earlier.map_or_else(|| read_named(&options.cwd, path), Ok);
                if let Some(text) = all.problems.take(text) {
                    all.file(&path.display().to_string(), text);
                }
            }
        }
    }
    all.finish()
}

impl Assignments<'_> {
    /// A value given as text: as it is for text and plain types, as an expression for the others.
    fn text(&mut self, variable: &Variable, text: &str, from: String) {
        let literal = matches!(variable.ty, None | Some(Type::String | Type::Number | Type::Bool));
        let value = if literal {
            Value::string(text)
        } else {
            let parsed = if variable.sensitive {
                Expr::parse(text)
            } else {
                let source = self.sources.add(format!("<{from}>"), text);
                parse_expr(self.sources, source)
            };
            let mut found = Diagnostics::new();
            let value = found.take(parsed).and_then(|expr| Constants(self.env).value(&expr, &mut found));
            match value {
                Some(value) => {
                    self.problems.extend(found);
                    value
                }
                None if variable.sensitive => {
                    self.problems.push(
                        Diagnostic::error("invalid value for variable")
                            .detail(format!("`{}`, given by {from}, is not a constant expression", variable.name))
                            .help("write it as in a file of values: `[\"a\", \"b\"]`, `{ a = 1 }`")
                            .label(variable.span, "declared here"),
                    );
                    return;
                }
                None => {
                    self.problems.extend(found);
                    return;
                }
            }
        };
        self.given.insert(Arc::clone(&variable.name), Given { value, place: None, from });
    }

    /// A file of values.
    fn file(&mut self, label: &str, text: String) {
        let mut found = Diagnostics::new();
        if PathBuf::from(label).extension().is_some_and(|extension| extension == "json") {
            match serde_json::from_str::<Value>(&text) {
                Ok(Value::Object(attributes)) => {
                    for (name, value) in attributes.iter() {
                        self.set(name, value.clone(), None, label);
                    }
                }
                Ok(other) => found.push(
                    Diagnostic::error("invalid file of values")
                        .detail(format!("`{label}` holds {}, not an object of values by name", other.kind()))
                        .help("write `{ \"name\": value }`"),
                ),
                Err(error) => found.push(
                    Diagnostic::error("invalid file of values")
                        .detail(format!("`{label}` is not JSON at line {}, column {}", error.line(), error.column()))
                        .help("correct the JSON"),
                ),
            }
        } else {
            let source = self.sources.add(label, text);
            if let Some(body) = found.take(parse_body(self.sources, source)) {
                for block in &body.blocks {
                    found.push(
                        Diagnostic::error("block in a file of values")
                            .detail(format!("`{}` is a block; a file of values holds `name = value` only", block.ident))
                            .help("declare it in a configuration file (`*.hcl`)")
                            .at(block.ident_span),
                    );
                }
                for (name, attribute) in &body.attributes {
                    if let Some(value) = Constants(self.env).value(&attribute.expr, &mut found) {
                        self.set(name, value, Some(attribute.expr.span().unwrap_or(attribute.name_span)), label);
                    }
                }
            }
        }
        for diagnostic in found {
            let diagnostic = if self.quotable { diagnostic } else { self.unquoted(diagnostic) };
            self.problems.push(diagnostic);
        }
    }

    fn set(&mut self, name: &str, value: Value, place: Option<Span>, from: &str) {
        match self.declared.get(name) {
            Some(variable) => {
                self.given.insert(Arc::clone(&variable.name), Given { value, place, from: from.to_owned() });
            }
            None => self.undeclared(name, Some((from, place)), false),
        }
    }

    fn undeclared(&mut self, name: &str, from: Option<(&str, Option<Span>)>, fatal: bool) {
        let known: Vec<&str> = self.declared.keys().map(|name| &**name).collect();
        let place = from.map_or_else(|| "--var".to_owned(), |(from, _)| from.to_owned());
        let detail = format!("{place} gives a value to `{name}`, which the root module does not declare");
        let start = if fatal { Diagnostic::error("unknown variable") } else { Diagnostic::warning("unknown variable") };
        let mut diagnostic = start.detail(detail).help(if known.is_empty() {
            format!("declare it: `variable \"{name}\" {{}}`")
        } else {
            suggestion(name, &known)
        });
        if let Some(span) = from.and_then(|(_, span)| span).filter(|_| self.quotable) {
            diagnostic = diagnostic.at(span);
        }
        self.problems.push(diagnostic);
    }

    /// The problem without a quotation: what stands next to it may be a secret.
    fn unquoted(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        if let Some(label) = diagnostic.labels.first() {
            diagnostic.detail =
                format!("{} (at {}; not quoted, as a variable is sensitive)", diagnostic.detail, self.sources.place(label.span));
        }
        diagnostic.labels.clear();
        diagnostic
    }

    fn finish(self) -> BTreeMap<Arc<str>, Value> {
        let mut values = BTreeMap::new();
        for (name, variable) in self.declared {
            let (value, place) = match self.given.get(name) {
                Some(Given { value, place, from }) => match variable.fit(value.clone()) {
                    Ok(value) => (value, place.filter(|_| self.quotable)),
                    Err(reason) => {
                        let mut diagnostic = Diagnostic::error("invalid value for variable")
                            .detail(format!("`{name}`, given by {from}: {reason}"))
                            .help("give a value of the declared type");
                        if let Some(place) = place.filter(|_| self.quotable) {
                            diagnostic = diagnostic.label(place, "given here");
                        }
                        self.problems.push(diagnostic.label(variable.span, "declared here"));
                        continue;
                    }
                },
                None => match &variable.default {
                    Some(default) => (default.clone(), None),
                    None => {
                        self.problems.push(
                            Diagnostic::error("missing value for variable")
                                .detail(format!("`{name}` has no default and no value was given"))
                                .help(format!("give one with `--var {name}=…`, in `windlass.vars.hcl`, or as {PREFIX}{name}"))
                                .at(variable.span),
                        );
                        continue;
                    }
                },
            };
            variable.validate(&value, place, self.env, self.problems);
            values.insert(Arc::clone(name), value);
        }
        values
    }
}
