//! Which names' values get into the value of an expression.
//!
//! Less than what it refers to: a condition chooses a value and is no part of it, and a comparison gives a bool. For judging where
//! a secret or an unquoted text may end up; errs on the side of saying too much.

use std::sync::Arc;

use super::Value;
use super::ast::{Access, Binary, Kind, Node, Part, Root};
use super::expr::{Expr, Reference};

impl Expr {
    /// The names whose values get into what is at `path` of its value (empty: all of it), in order of appearance, without
    /// repetition. What passes through a call of one of the functions `stopped_by` does not count.
    #[must_use]
    pub fn flows(&self, path: &[Arc<str>], stopped_by: &[&str]) -> Vec<Reference> {
        let mut flow = Flow { expr: self, stopped_by, found: Vec::new() };
        let (node, rest) = selected(self.root(), path);
        flow.node(node);
        // Where the part is a name, what is left of the path selects from it.
        let is_name = matches!(&node.kind, Kind::Access(access) if access.steps.iter().all(|step| step.name().is_some()));
        if let ([reference], true) = (flow.found.as_mut_slice(), is_name) {
            reference.path.extend(rest.iter().cloned());
        }
        flow.found
    }
}

/// The part of an object as it is written, and what is left of the path; all of what cannot be taken apart.
fn selected<'a, 'p>(mut node: &'a Node, mut path: &'p [Arc<str>]) -> (&'a Node, &'p [Arc<str>]) {
    while let Some((name, rest)) = path.split_first() {
        let Kind::Object(entries) = &node.kind else { break };
        let named = |key: &Node| matches!(&key.kind, Kind::Const(Value::String(key)) if key == name);
        // A key that is computed may be this one, too.
        let computed = entries.iter().any(|(key, _)| !matches!(key.kind, Kind::Const(_)));
        let Some((_, value)) = entries.iter().rev().find(|(key, _)| named(key)).filter(|_| !computed) else { break };
        (node, path) = (value, rest);
    }
    (node, path)
}

struct Flow<'a> {
    expr: &'a Expr,
    stopped_by: &'a [&'a str],
    found: Vec<Reference>,
}

impl Flow<'_> {
    fn node(&mut self, node: &Node) {
        match &node.kind {
            Kind::Const(_) | Kind::And(_) | Kind::Or(_) | Kind::Not(_) => {}
            Kind::Template(parts) => self.parts(parts),
            Kind::List(items) => items.iter().for_each(|item| self.node(item)),
            Kind::Object(entries) => {
                for (key, value) in entries {
                    self.node(key);
                    self.node(value);
                }
            }
            Kind::Access(access) => self.access(access),
            Kind::Conditional(parts) => {
                let [_, then, otherwise] = &**parts;
                self.node(then);
                self.node(otherwise);
            }
            Kind::Binary(operator, both) => {
                use Binary::{Add, Divide, Multiply, Remainder, Subtract};
                if matches!(operator, Add | Subtract | Multiply | Divide | Remainder) {
                    both.iter().for_each(|side| self.node(side));
                }
            }
            Kind::Negate(operand) => self.node(operand),
            Kind::Call(call) => {
                if !self.stopped_by.contains(&&*call.name) {
                    call.arguments.iter().for_each(|argument| self.node(argument));
                }
            }
            Kind::For(each) => {
                // The names that it binds hold parts of the collection.
                self.node(&each.collection);
                each.key.iter().for_each(|key| self.node(key));
                self.node(&each.result);
            }
        }
    }

    /// What an index says chooses, and is no part of the value.
    fn access(&mut self, Access { root, steps }: &Access) {
        match root {
            Root::Name(name, at) => self.expr.reference(name, *at, steps, &mut self.found),
            Root::Local(_) => {}
            Root::Node(node) => self.node(node),
        }
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Text(_) => {}
                Part::Value(node) => self.node(node),
                Part::If { then, otherwise, .. } => {
                    self.parts(then);
                    self.parts(otherwise);
                }
                Part::For { collection, body, .. } => {
                    self.node(collection);
                    self.parts(body);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Expr;

    fn flows(text: &str) -> Vec<String> {
        let named = |reference: super::Reference| {
            let path: Vec<&str> = reference.path.iter().map(|part| &**part).collect();
            format!("{}.{}", reference.root, path.join("."))
        };
        Expr::parse(text).unwrap().flows(&[], &["base64encode"]).into_iter().map(named).collect()
    }

    #[test]
    fn conditions_and_comparisons_are_no_part_of_a_value() {
        assert_eq!(flows(r#"self.a ? "x" : self.b"#), ["self.b"]);
        assert_eq!(flows(r#"self.a == self.b"#), Vec::<String>::new());
        assert_eq!(flows(r#"!self.a || self.b"#), Vec::<String>::new());
        assert_eq!(flows(r#""x%{ if self.a }y${self.b}%{ endif }""#), ["self.b"]);
        assert_eq!(flows("self.list[self.index]"), ["self.list"]);
    }

    #[test]
    fn values_are_followed_through_calls_lists_and_loops() {
        assert_eq!(flows(r#"concat([self.a], [for x in self.b : upper(x)])"#), ["self.a", "self.b"]);
        assert_eq!(flows(r#"{ key = "a${self.a}", (self.b) = 1 }"#), ["self.a", "self.b"]);
        assert_eq!(flows("-self.a + self.b"), ["self.a", "self.b"]);
        assert_eq!(flows("local.x.y[0].z"), ["local.x.y"]);
    }

    #[test]
    fn only_the_selected_part_of_an_object_counts() {
        let roots = |text: &str, path: &[&str]| {
            let path: Vec<super::Arc<str>> = path.iter().copied().map(super::Arc::from).collect();
            Expr::parse(text).unwrap().flows(&path, &[]).len()
        };
        assert_eq!(roots("{ a = self.a, b = { c = self.c, d = self.d } }", &["b", "c"]), 1);
        assert_eq!(roots("{ a = self.a, b = { c = self.c, d = self.d } }", &["b", "unknown"]), 2);
        assert_eq!(roots("{ a = self.a, (self.key) = self.b }", &["a"]), 3);
        let of = |text: &str| Expr::parse(text).unwrap().flows(&["x".into(), "y".into()], &[])[0].path.join(".");
        assert_eq!(of("local.all"), "all.x.y");
        assert_eq!(of("{ x = local.all[\"z\"] }"), "all.z.y");
        assert_eq!(of("upper(local.all)"), "all");
        assert_eq!(of("local.all[self.i]"), "all");
        assert_eq!(roots("merge(self.a, self.b)", &["a"]), 2);
    }

    #[test]
    fn what_a_stopping_function_takes_does_not_count() {
        assert_eq!(flows(r#""${base64encode(self.a)} ${self.b}""#), ["self.b"]);
    }
}
