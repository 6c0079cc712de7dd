//! `template`: renders one of the provider's documents with minijinja and writes it as `file` does.
//!
//! Undefined names are errors, nothing is escaped by itself (the filter `sh` quotes for a shell), and a document can neither run for
//! ever nor grow without end.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};

use super::host::Attributes;
use super::{Args, Context, Diff, Driver, Failure, FailureKind, Recalled, file};
use crate::lang::function::shell_quoted;
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Template;

const SCHEMA: DriverSchema = DriverSchema {
    name: "template",
    summary: "Renders a document of the provider (Jinja syntax) and writes it to a file on the instance's host.",
    args: &[
        ArgSchema {
            name: "source",
            ty: "string",
            required: true,
            summary: "Name of the document, relative to the provider's folder. It may include and extend other documents of that folder.",
        },
        ArgSchema { name: "path", ty: "string", required: true, summary: "Absolute path of the file that is written." },
        ArgSchema {
            name: "values",
            ty: "map(any)",
            required: false,
            summary: "What the document can use, by name. A name that is not there is an error. Blocks take no line of their own (`trim_blocks`, `lstrip_blocks`); a bool is written `true` or `false`, a null is an error; nothing is escaped; the filter `sh` quotes for a shell, `tojson` for JSON and YAML.",
        },
        ArgSchema { name: "mode", ty: "string", required: false, summary: "As in `file`." },
        ArgSchema { name: "owner", ty: "string", required: false, summary: "As in `file`." },
        ArgSchema {
            name: "keep",
            ty: "bool",
            required: false,
            summary: "Whether what was there can be restored (`file` with `action = \"restore\"`); true where not given.",
        },
    ],
    results: &[
        ResultSchema { name: "path", ty: "string", summary: "The path." },
        ResultSchema { name: "sha256", ty: "string", summary: "Digest of the content." },
        ResultSchema { name: "size", ty: "number", summary: "Bytes." },
        ResultSchema { name: "changed", ty: "bool", summary: "Whether the file was not like that already." },
        ResultSchema {
            name: "saved",
            ty: "string",
            summary: "What `file` with `action = \"restore\"` takes to put back what was there before.",
        },
    ],
    observes: false,
};

/// A document may not be longer.
const SOURCE: usize = 1 << 20;
/// One `{{ … }}` or `{% … %}` may not be longer: the parser's stack grows with it.
const TAG: usize = 4096;
/// What comes out may not be longer.
const OUTPUT: usize = 16 << 20;
/// Steps of the interpreter.
const FUEL: u64 = 3_000_000;
/// For documents that are nested deeply.
const STACK: usize = 16 << 20;

#[async_trait]
impl Driver for Template {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("template", args);
        let path = args.needed_path("path")?;
        let rendered = render_args(&args, ctx).await.map_err(Failure::untouched)?;
        if ctx.dir.is_none() {
            return Err(args.invalid("it writes a file, and a fact or check may only look"));
        }
        let attributes = Attributes { mode: args.mode("mode")?, owner: file::owner(&args, ctx).await.map_err(Failure::untouched)? };
        file::place(ctx, &path, rendered.as_bytes(), &attributes, args.truth("keep")?.unwrap_or(true)).await
    }

    async fn recall(&self, args: &Object, ctx: &Context) -> Result<Recalled, Failure> {
        let args = Args::new("template", args);
        file::written(ctx, &args.needed_path("path")?, args.truth("keep")?.unwrap_or(true)).await
    }

    async fn preview(&self, args: &Object, ctx: &Context) -> Option<Vec<Diff>> {
        let args = Args::new("template", args);
        let path = args.needed_path("path").ok()?;
        let rendered = render_args(&args, ctx).await.ok()?;
        file::diff(ctx, &path, Some(rendered.as_bytes())).await
    }
}

async fn render_args(args: &Args<'_>, ctx: &Context) -> Result<String, Failure> {
    let source = args.needed_text("source")?;
    let values = args.value("values").cloned().unwrap_or_else(|| Value::object::<&str>([]));
    if values.as_object().is_none() {
        return Err(args.invalid("`values` must be an object"));
    }
    let files = Arc::clone(&ctx.files);
    // A thread of its own for its stack; rendering is no more than milliseconds, and bounded.
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("template".to_owned())
        .stack_size(STACK)
        .spawn(move || drop(send.send(render(&source, &values, &files))))
        .map_err(|error| Failure::new(FailureKind::Failed, format!("cannot render: {error}")))?;
    match receive.await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(failure)) => Err(Failure { message: ctx.redact.apply(&failure.message).into_owned(), ..failure }),
        Err(_) => Err(Failure::new(FailureKind::Failed, "the document could not be rendered: the template engine gave up")),
    }
}

/// Renders a document.
fn render(source: &str, values: &Value, files: &BTreeMap<Arc<str>, Arc<[u8]>>) -> Result<String, Failure> {
    let invalid = |message: String| Failure::new(FailureKind::Invalid, format!("template: {message}"));
    if !files.contains_key(source) {
        let names: Vec<&str> = files.keys().map(|name| &**name).take(10).collect();
        return Err(invalid(format!("the provider has no document `{source}`")).help(format!("it has: {}", names.join(", "))));
    }
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    let mut syntax = environment.syntax().to_builder();
    let syntax = syntax.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| invalid(explained(&error)))?);
    environment.set_formatter(|out, state, value| match value.kind() {
        // Configuration files know `true`, not Python's `True`; and a null in one is always a mistake.
        minijinja::value::ValueKind::Bool => write!(out, "{}", value.is_true()).map_err(minijinja::Error::from),
        minijinja::value::ValueKind::None => Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "null cannot be written: give it a text, or leave it out with `if`",
        )),
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment.add_filter("sh", |text: String| shell_quoted(&text));
    environment.add_filter("tojson", |value: minijinja::Value| {
        serde_json::to_string(&value).map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))
    });
    for (name, bytes) in files {
        let wanted = &**name == source;
        let text = match str::from_utf8(bytes) {
            Ok(text) if bytes.len() <= SOURCE => text,
            Ok(_) if wanted => return Err(invalid(format!("`{name}` is longer than 1 MiB"))),
            Err(_) if wanted => return Err(invalid(format!("`{name}` is not UTF-8"))),
            _ => continue,
        };
        if let Some(line) = long_tag(text) {
            if wanted {
                return Err(invalid(format!("`{name}`, line {line}: a tag is longer than {TAG} bytes")));
            }
            continue;
        }
        match environment.add_template(name, text) {
            Err(error) if wanted => return Err(invalid(explained(&error))),
            // Not every file of a provider is a document; one that is included and broken is missed at its inclusion.
            _ => {}
        }
    }
    let template = environment.get_template(source).map_err(|error| invalid(explained(&error)))?;
    let mut output = Bounded(Vec::new());
    let values = minijinja::value::Serde(values);
    template.render_captured_to(values, &mut output).map_err(|error| match error.kind() {
        ErrorKind::WriteFailure => invalid(format!("`{source}` becomes longer than {} MiB", OUTPUT >> 20)),
        ErrorKind::OutOfFuel => invalid(format!("`{source}` does not come to an end")),
        _ => invalid(explained(&error)),
    })?;
    String::from_utf8(output.0).map_err(|_| invalid(format!("`{source}` does not become UTF-8")))
}

/// Where and what, with the causes; minijinja's own display leaves the causes out.
fn explained(error: &minijinja::Error) -> String {
    let mut text = match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("`{name}`, line {line}: {}", error.kind()),
        _ => error.kind().to_string(),
    };
    if let Some(detail) = error.detail() {
        text.push_str(": ");
        text.push_str(detail);
    }
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// The line of the first tag that is too long.
fn long_tag(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find(['{']) {
        let start = at + found;
        let close = match text.as_bytes().get(start + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            _ => {
                at = start + 1;
                continue;
            }
        };
        // A string in it may hold the closing mark; then the rest counts as text, and the parser will say what is wrong.
        match text[start..].find(close) {
            Some(length) if length <= TAG => at = start + length,
            _ if text.len() - start <= TAG => return None,
            _ => return Some(text[..start].matches('\n').count() + 1),
        }
    }
    None
}

/// Takes no more than [`OUTPUT`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::driver::testing::{applying, args, hiding};

    fn with(documents: &[(&str, &str)], values: serde_json::Value) -> Result<String, Failure> {
        let files = documents.iter().map(|(name, text)| (Arc::from(*name), Arc::from(text.as_bytes()))).collect();
        render(documents[0].0, &serde_json::from_value(values).unwrap(), &files)
    }

    #[test]
    fn values_of_every_kind_are_written_as_people_write_them() {
        let text = with(
            &[(
                "a",
                "{{ list|tojson }} {{ port }} {{ half }} {{ on }} {{ list[1] }} {{ o.x }}\n{% for i in list %}\n- {{ i }}\n{% endfor %}\n",
            )],
            json!({"port": 8080, "half": 0.5, "on": true, "list": ["a", "b"], "o": {"x": "<&>"}}),
        );
        assert_eq!(text.unwrap(), "[\"a\",\"b\"] 8080 0.5 true b <&>\n- a\n- b\n");
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error_at_its_line() {
        let error = with(&[("conf.j2", "ok\n{{ o.misssing }}")], json!({"o": {}})).unwrap_err();
        assert!(error.message.contains("`conf.j2`, line 2: undefined value"), "{error}");
    }

    #[test]
    fn a_null_is_not_written() {
        assert!(with(&[("a", "{{ x }}")], json!({"x": null})).unwrap_err().message.contains("null cannot be written"));
        assert_eq!(with(&[("a", "{% if x is none %}none{% endif %}")], json!({"x": null})).unwrap(), "none");
    }

    #[test]
    fn a_word_for_the_shell_is_quoted() {
        assert_eq!(with(&[("a", "{{ x | sh }}")], json!({"x": "it's $HOME"})).unwrap(), r"'it'\''s $HOME'");
    }

    #[test]
    fn other_documents_are_included_and_rubbish_beside_is_not_minded() {
        let documents = [("a", "<{% include 'parts/b' %}>"), ("parts/b", "{{ x }}"), ("script.sh", "${#a[@]} {% nonsense")];
        assert_eq!(with(&documents, json!({"x": 1})).unwrap(), "<1>");
        assert!(with(&[("a", "{% include 'gone' %}")], json!({})).unwrap_err().message.contains("gone"));
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let nested = "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
        assert!(with(&[("a", nested)], json!({})).is_err());
        let silent = "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}";
        assert!(with(&[("a", silent)], json!({})).unwrap_err().message.contains("end"));
        assert!(with(&[("a", "{% include 'a' %}")], json!({})).is_err());
    }

    #[test]
    fn a_long_sum_does_not_overflow_the_stack() {
        let sum = format!("{{{{ 1{} }}}}", "+1".repeat(100_000));
        assert!(with(&[("a", &sum)], json!({})).unwrap_err().message.contains("longer than 4096"));
        let allowed = format!("{{{{ 1{} }}}}", "+1".repeat(2000));
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || assert_eq!(with(&[("a", &allowed)], json!({})).unwrap(), "2001"))
            .unwrap()
            .join()
            .unwrap();
        let blocks = format!("{}{}", "{% if true %}".repeat(5000), "{% endif %}".repeat(5000));
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || drop(with(&[("a", &blocks)], json!({}))))
            .unwrap()
            .join()
            .unwrap();
    }

    #[tokio::test]
    async fn a_document_is_written_and_its_diff_hides_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.conf");
        std::fs::write(&path, "port=1\npassword=oldsecret\n").unwrap();
        let files = BTreeMap::from([(Arc::from("app.j2"), Arc::from(&b"port={{ port }}\npassword={{ password }}\n"[..]))]);
        let ctx = Context { files: Arc::new(files), ..hiding(applying(&dir.path().join("run")), "newsecret") };
        let object =
            args(json!({"source": "app.j2", "path": path, "values": {"port": 2, "password": "newsecret"}, "mode": "0600"}));
        let diffs = Template.preview(&object, &ctx).await.unwrap();
        assert!(diffs[0].text.contains("-port=1\n") && diffs[0].text.contains("+port=2\n"), "{}", diffs[0].text);
        assert!(!diffs[0].text.contains("newsecret"));
        let result = Template.run(&object, &ctx).await.unwrap();
        assert_eq!(result.get("changed"), Some(&true.into()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "port=2\npassword=newsecret\n");
        assert_eq!(Template.preview(&object, &ctx).await.unwrap(), []);
        assert_eq!(Template.run(&object, &ctx).await.unwrap().get("changed"), Some(&false.into()));
    }

    #[tokio::test]
    async fn a_document_that_is_not_there_is_answered_with_those_that_are() {
        let dir = tempfile::tempdir().unwrap();
        let files = BTreeMap::from([(Arc::from("app.j2"), Arc::from(&b""[..]))]);
        let ctx = Context { files: Arc::new(files), ..applying(dir.path()) };
        let error = Template.run(&args(json!({"source": "ap.j2", "path": "/x/y"})), &ctx).await.unwrap_err();
        assert_eq!((error.kind, error.help.as_deref()), (FailureKind::Invalid, Some("it has: app.j2")));
    }
}
