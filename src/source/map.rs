//! The texts that were read, and diagnostics rendered against them.

use std::sync::Arc;

use miette::{LabeledSpan, NamedSource, SourceCode};

use super::{Diagnostic, Severity, SourceId, Span};

/// Every text that was read in one run, by [`SourceId`]. Only grows.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    texts: Vec<(String, Arc<str>)>,
}

impl SourceMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a text under the name that people know it by (a path, mostly) and names it.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let id = SourceId(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push((name.into(), text.into()));
        id
    }

    /// The name of a source.
    #[must_use]
    pub fn name(&self, id: SourceId) -> &str {
        self.texts.get(id.0 as usize).map_or("<unknown>", |(name, _)| name)
    }

    /// The whole text of a source.
    #[must_use]
    pub fn text(&self, id: SourceId) -> &str {
        self.texts.get(id.0 as usize).map_or("", |(_, text)| text)
    }

    /// The whole text of a source, shared.
    #[must_use]
    pub fn shared(&self, id: SourceId) -> Arc<str> {
        self.texts.get(id.0 as usize).map_or_else(|| Arc::from(""), |(_, text)| Arc::clone(text))
    }

    /// The text under a span; empty where the span does not fit.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.source).get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line and column of a span's start, both from 1, columns in characters.
    #[must_use]
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let before = self.text(span.source).get(..span.start as usize).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// `name:line:column` of a span's start.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        let (line, column) = self.line_column(span);
        format!("{}:{line}:{column}", self.name(span.source))
    }

    /// Pairs a diagnostic with the text that it points into, for miette to print.
    #[must_use]
    pub fn render(&self, diagnostic: &Diagnostic) -> Rendered {
        let source = diagnostic.labels.first().map(|label| label.span.source);
        let (here, elsewhere): (Vec<_>, Vec<_>) = diagnostic.labels.iter().partition(|label| Some(label.span.source) == source);
        let related = elsewhere
            .into_iter()
            .map(|label| Rendered {
                code: Some(self.named(label.span.source)),
                labels: vec![labelled(label.span, &label.text)],
                message: "related".to_owned(),
                help: None,
                severity: miette::Severity::Advice,
                related: Vec::new(),
            })
            .collect();
        Rendered {
            code: source.map(|source| self.named(source)),
            labels: here.iter().map(|label| labelled(label.span, &label.text)).collect(),
            message: diagnostic.to_string(),
            help: diagnostic.help.clone(),
            severity: match diagnostic.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
            },
            related,
        }
    }

    fn named(&self, id: SourceId) -> NamedSource<Arc<str>> {
        NamedSource::new(self.name(id), self.shared(id))
    }
}

fn labelled(span: Span, text: &str) -> LabeledSpan {
    LabeledSpan::new((!text.is_empty()).then(|| text.to_owned()), span.start as usize, span.len())
}

/// A diagnostic together with the text that it quotes.
#[derive(Debug)]
pub struct Rendered {
    code: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
    message: String,
    help: Option<String>,
    severity: miette::Severity,
    related: Vec<Rendered>,
}

impl std::fmt::Display for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Rendered {}

impl miette::Diagnostic for Rendered {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.code.as_ref().map(|code| code as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = LabeledSpan>>)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn miette::Diagnostic> + 'a>> {
        (!self.related.is_empty())
            .then(|| Box::new(self.related.iter().map(|related| related as &dyn miette::Diagnostic)) as Box<dyn Iterator<Item = _>>)
    }
}
