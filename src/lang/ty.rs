//! Type constraints, as variables and settings declare them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ast::{At, Call, Kind, Node, Root};
use super::{Expr, Value, render};
use crate::source::{Diagnostic, Diagnostics, nearest};

/// A type constraint: `string`, `list(number)`, `object({ name = string, port = optional(number, 80) })`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Anything.
    Any,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// Text.
    String,
    /// Values of one type in order.
    List(Box<Type>),
    /// Values of one type, sorted, each once.
    Set(Box<Type>),
    /// Values of one type by name.
    Map(Box<Type>),
    /// Values of these types in order.
    Tuple(Vec<Type>),
    /// These attributes; others are dropped, as Terraform does.
    Object(BTreeMap<Arc<str>, Field>),
}

/// One attribute of an object type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out.
    pub optional: bool,
    /// What it is where it is left out.
    pub default: Value,
}

/// Names that stand for a type by themselves.
const PLAIN: &[(&str, Type)] = &[("any", Type::Any), ("bool", Type::Bool), ("number", Type::Number), ("string", Type::String)];
/// Names that take another type in parentheses.
const COMPOUND: &[&str] = &["list", "set", "map", "tuple", "object"];

impl Type {
    /// Reads a type constraint from the expression that it is written as.
    ///
    /// # Errors
    /// Names that are no types, and types with the wrong parts.
    pub fn parse(expr: &Expr) -> Result<Self, Diagnostics> {
        let mut reader = Reader { expr, problems: Diagnostics::new() };
        let ty = reader.read(expr.root());
        reader.problems.unless_errors(ty).map(|(ty, _)| ty)
    }
}

struct Reader<'a> {
    expr: &'a Expr,
    problems: Diagnostics,
}

impl Reader<'_> {
    fn problem(&mut self, at: At, detail: String, help: &str) -> Type {
        let source = self.expr.source();
        let diagnostic = Diagnostic::error("wrong type constraint").detail(detail).help(help);
        self.problems.push(match source.span(at) {
            Some(span) => diagnostic.at(span),
            None => {
                let detail = format!("{}, in `{}`", diagnostic.detail, source.slice(at));
                diagnostic.detail(detail)
            }
        });
        Type::Any
    }

    fn read(&mut self, node: &Node) -> Type {
        match &node.kind {
            Kind::Access(access) if access.steps.is_empty() => match &access.root {
                Root::Name(name, at) => self.plain(name, *at),
                _ => self.no_type(node.at),
            },
            // Terraform's old notation.
            Kind::Const(Value::String(name)) => {
                let detail = format!("types stand without quotes, not \"{name}\"");
                self.problem(node.at, detail, "remove the quotes")
            }
            Kind::Call(call) => self.compound(call, node.at),
            _ => self.no_type(node.at),
        }
    }

    fn no_type(&mut self, at: At) -> Type {
        self.problem(
            at,
            "this is not a type".to_owned(),
            "write string, number, bool, any, list(…), set(…), map(…), tuple([…]) or object({…})",
        )
    }

    fn plain(&mut self, name: &str, at: At) -> Type {
        if let Some((_, ty)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
            return ty.clone();
        }
        if COMPOUND.contains(&name) {
            let part = match name {
                "tuple" => "([string, number])",
                "object" => "({ name = string })",
                _ => "(string)",
            };
            return self.problem(
                at,
                format!("`{name}` says not what it holds"),
                &format!("write `{name}{part}`, or `{name}(any)`"),
            );
        }
        let near = nearest(name, PLAIN.iter().map(|(name, _)| *name).chain(COMPOUND.iter().copied()));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "the types are string, number, bool, any, list(…), set(…), map(…), tuple([…]) and object({…})".to_owned(),
        };
        self.problem(at, format!("there is no type `{name}`"), &help)
    }

    fn compound(&mut self, call: &Call, at: At) -> Type {
        let [part] = &*call.arguments else {
            return self.problem(at, format!("`{}` takes one part", call.name), "as in `list(string)`");
        };
        match (&*call.name, &part.kind) {
            ("list", _) => Type::List(Box::new(self.read(part))),
            ("set", _) => Type::Set(Box::new(self.read(part))),
            ("map", _) => Type::Map(Box::new(self.read(part))),
            ("tuple", Kind::List(parts)) => Type::Tuple(parts.iter().map(|part| self.read(part)).collect()),
            ("tuple", _) => self.problem(part.at, "`tuple` takes a list of types".to_owned(), "as in `tuple([string, number])`"),
            ("object", Kind::Object(entries)) => {
                let mut fields = BTreeMap::new();
                for (key, value) in entries {
                    let Kind::Const(Value::String(name)) = &key.kind else {
                        self.problem(
                            key.at,
                            "the name of an attribute is plain text".to_owned(),
                            "as in `object({ name = string })`",
                        );
                        continue;
                    };
                    let field = self.field(value);
                    fields.insert(Arc::clone(name), field);
                }
                Type::Object(fields)
            }
            ("object", _) => self.problem(part.at, "`object` takes attributes".to_owned(), "as in `object({ name = string })`"),
            ("optional", _) => self.problem(
                at,
                "`optional` belongs to an attribute of an object".to_owned(),
                "as in `object({ port = optional(number, 80) })`",
            ),
            (name, _) => self.plain(name, at),
        }
    }

    fn field(&mut self, node: &Node) -> Field {
        let required = |ty| Field { ty, optional: false, default: Value::Null };
        let Kind::Call(call) = &node.kind else {
            return required(self.read(node));
        };
        if &*call.name != "optional" {
            return required(self.read(node));
        }
        let (ty, default) = match &*call.arguments {
            [ty] => (self.read(ty), Value::Null),
            [ty, default] => {
                let ty = self.read(ty);
                let value = self.default(&ty, default);
                (ty, value)
            }
            _ => (
                self.problem(node.at, "`optional` takes a type and perhaps a default".to_owned(), "as in `optional(number, 80)`"),
                Value::Null,
            ),
        };
        Field { ty, optional: true, default }
    }

    /// A default is a constant: it is computed here, without names.
    fn default(&mut self, ty: &Type, node: &Node) -> Value {
        let (scope, env) = (super::Vars::default(), super::Env::pure(jiff::Timestamp::UNIX_EPOCH));
        let source = self.expr.source();
        let mut evaluator = super::eval::Evaluator { scope: &scope, env: &env, source, steps: env.budget, locals: Vec::new() };
        match evaluator.eval(node) {
            Ok(value) => match ty.convert(&value) {
                Ok(value) => value,
                Err(reason) => {
                    self.problem(node.at, format!("the default does not fit: {reason}"), "change the default or the type");
                    Value::Null
                }
            },
            Err(failure) => {
                self.problems.push(failure.diagnostic);
                Value::Null
            }
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Set(item) => write!(f, "set({item})"),
            Self::Map(item) => write!(f, "map({item})"),
            Self::Tuple(items) => {
                f.write_str("tuple([")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("])")
            }
            Self::Object(fields) if fields.is_empty() => f.write_str("object({})"),
            Self::Object(fields) => {
                f.write_str("object({")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    write!(f, "{} {} = ", if index == 0 { "" } else { "," }, render::key(name))?;
                    match (field.optional, &field.default) {
                        (false, _) => write!(f, "{}", field.ty)?,
                        (true, Value::Null) => write!(f, "optional({})", field.ty)?,
                        (true, default) => write!(f, "optional({}, {})", field.ty, render::text(default))?,
                    }
                }
                f.write_str(" })")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Env, Vars};

    fn ty(text: &str) -> Type {
        Type::parse(&Expr::parse(text).unwrap()).unwrap()
    }

    fn value(text: &str) -> Value {
        Expr::parse(text).unwrap().eval(&Vars::default(), &Env::pure(jiff::Timestamp::UNIX_EPOCH)).unwrap()
    }

    #[track_caller]
    fn converts(constraint: &str, from: &str, to: &str) {
        assert_eq!(ty(constraint).convert(&value(from)).map(|value| render::text(&value)).as_deref(), Ok(to));
    }

    #[test]
    fn constraints_are_read_and_written_back() {
        for text in [
            "any",
            "list(string)",
            "map(any)",
            "set(number)",
            "tuple([string, bool])",
            "object({})",
            "object({ a = string, b = optional(number, 3), c = optional(list(object({ d = bool }))) })",
        ] {
            assert_eq!(ty(text).to_string(), text);
        }
        assert_eq!(ty("object({ port = optional(number, \"80\") })").to_string(), "object({ port = optional(number, 80) })");
    }

    #[test]
    fn wrong_constraints_are_all_reported() {
        for (text, words) in [
            ("strin", "there is no type `strin`"),
            ("\"string\"", "types stand without quotes"),
            ("list", "says not what it holds"),
            ("list(string, bool)", "takes one part"),
            ("tuple(string)", "takes a list of types"),
            ("object(string)", "takes attributes"),
            ("optional(string)", "belongs to an attribute"),
            ("1", "not a type"),
            ("object({ a = optional(number, \"x\") })", "the default does not fit"),
            ("object({ a = optional(number, var.x) })", "there is no `var`"),
        ] {
            let problems = Type::parse(&Expr::parse(text).unwrap()).unwrap_err();
            assert!(problems.iter().any(|problem| problem.to_string().contains(words)), "{text}: {problems:?}");
        }
        assert_eq!(Type::parse(&Expr::parse("object({ a = strin, b = numbr })").unwrap()).unwrap_err().len(), 2);
    }

    #[test]
    fn values_are_converted_as_terraform_does() {
        converts("number", "\"3\"", "3");
        converts("string", "1.50", "\"1.5\"");
        converts("bool", "\"true\"", "true");
        converts("set(string)", "[\"b\", \"a\", \"b\", 1]", "[\"1\", \"a\", \"b\"]");
        converts("set(number)", "[10, 9, \"9\"]", "[9, 10]");
        converts("map(string)", "{ a = 1 }", "{ a = \"1\" }");
        converts("tuple([string, number])", "[1, \"2\"]", "[\"1\", 2]");
        converts(
            "object({ a = string, b = optional(number, 3), c = optional(bool) })",
            "{ a = 1, z = 2 }",
            "{ a = \"1\", b = 3, c = null }",
        );
        converts("list(number)", "[null]", "[null]");
        converts("any", "{ a = [1] }", "{ a = [1] }");
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_path() {
        let fails = |constraint: &str, from: Value| ty(constraint).convert(&from).unwrap_err();
        assert_eq!(
            fails("object({ ports = list(number) })", value("{ ports = [1, 2, \"x\"] }")),
            ".ports[2]: a number is needed, not \"x\""
        );
        assert_eq!(fails("map(map(bool))", value("{ \"a b\" = { c = 1 } }")), "[\"a b\"].c: true or false is needed, not 1");
        assert_eq!(fails("object({ port = number })", value("{ prot = 1 }")), "the attribute `port` is missing (there is `prot`)");
        assert_eq!(fails("tuple([string])", value("[]")), "a list of 1 items is needed, not of 0");
        assert_eq!(fails("list(string)", value("\"x\"")), "a list is needed, not \"x\"");
    }

    #[test]
    fn marks_and_unknowns_stay_and_secrets_are_not_told() {
        let secret = Value::from("hunter2").sensitive();
        assert_eq!(ty("string").convert(&secret), Ok(secret.clone()));
        assert_eq!(ty("number").convert(&Value::Unknown), Ok(Value::Unknown));
        let hidden = Value::list([Value::from("hunter2")]).sensitive();
        let error = ty("list(number)").convert(&hidden).unwrap_err();
        assert_eq!(error, "[0]: a number is needed, not a sensitive string");
        let two = ty("set(string)").convert(&Value::list([Value::Unknown, Value::Unknown])).unwrap();
        assert_eq!(two.as_list().map(<[_]>::len), Some(2));
    }
}
