//! `host "NAME" { … }`: a machine, and how it is reached.

use super::fields::{Evaluate, Fields, Shape, check_shape};
use crate::lang::{Block, Value};
use crate::model::estate::{Host, Ssh};
use crate::model::name::HostName;
use crate::source::Diagnostics;

/// How many actions run at once on a host that does not say.
const CONCURRENCY: u32 = 4;

/// What an `ssh` block may say.
const SSH: [&str; 6] = ["address", "user", "port", "identity_file", "known_hosts_file", "patience"];

/// What expressions see where an instance has no host.
pub(super) fn localhost() -> Value {
    object("localhost", "localhost", Value::object::<&str>([]))
}

fn object(name: &str, address: &str, attributes: Value) -> Value {
    Value::object([("name", name.into()), ("address", address.into()), ("attributes", attributes)])
}

/// Reads a host, and what expressions see of it.
pub(super) fn decode(name: &str, block: &Block, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> (Host, Value) {
    let what = format!("host `{name}`");
    check_shape(&block.body, &Shape { what: &what, attributes: &["concurrency", "attributes"], blocks: &["ssh"] }, problems);
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate, problems };
    let concurrency = fields.number("concurrency", 1..=1000).unwrap_or(CONCURRENCY);
    let attributes = match fields.value("attributes") {
        None => Value::object::<&str>([]),
        Some(value) if matches!(value.unmark().0, Value::Object(_)) => value,
        Some(other) => {
            fields.wrong("attributes", format!("it is an object, not {}", other.kind()), "write `attributes = { name = value }`");
            Value::object::<&str>([])
        }
    };
    let ssh = fields.block("ssh").map(|inner| {
        let what = format!("`ssh` of {what}");
        let shape = Shape { what: &what, attributes: &SSH, blocks: &[] };
        check_shape(&inner.body, &shape, fields.problems);
        let mut fields = Fields { body: &inner.body, what: &what, header: inner.ident_span, evaluate, problems: fields.problems };
        let mut word = |name: &str| {
            let text = if name == "address" { fields.required_text(name) } else { fields.text(name) };
            // A leading dash would be read as an option by ssh.
            if text.as_deref().is_some_and(|text| text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace)) {
                fields.wrong(name, "it is empty, begins with `-` or has spaces in it", "write the plain name");
            }
            text
        };
        let (address, user) = (word("address").unwrap_or_default(), word("user"));
        let mut path = |name: &str| {
            let text = fields.text(name);
            if text.as_deref().is_some_and(|text| text.is_empty() || text.contains(|c: char| c == '"' || c.is_control())) {
                fields.wrong(name, "it is empty, or has quotes or control characters in it", "write the path of a file");
            }
            text
        };
        let (identity_file, known_hosts_file) = (path("identity_file"), path("known_hosts_file"));
        let patience = fields.duration("patience");
        let port = fields.number("port", 1..=65535).and_then(|port| u16::try_from(port).ok());
        Ssh { address, port, user, identity_file, known_hosts_file, patience }
    });
    let address = ssh.as_ref().map_or("localhost", |ssh| &ssh.address);
    let value = object(name, address, attributes.clone());
    (Host { name: HostName::new(name), ssh, concurrency, attributes, span: Some(block.header_span()) }, value)
}
