//! A page for a browser: one file that asks the network for nothing, and says so.
//!
//! Its content security policy lets nothing be loaded, and nothing work but its own style and script. Everything from outside is
//! escaped by the template.

use base64::Engine as _;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::count;

/// What a page is made of, besides what it shows.
#[derive(Clone, Copy)]
pub(super) struct Page {
    /// The template. It is given `policy`, `style`, `script`, and the fields of what is shown.
    pub(super) template: &'static str,
    /// CSS.
    pub(super) style: &'static str,
    /// JavaScript; empty where the page has none.
    pub(super) script: &'static str,
}

/// What the template sees.
#[derive(Serialize)]
struct Whole<'a, T> {
    policy: String,
    style: &'static str,
    script: &'static str,
    #[serde(flatten)]
    shown: &'a T,
}

impl Page {
    /// The page that shows something.
    ///
    /// # Errors
    /// A mistake in the template; none that is known.
    pub(super) fn show(self, shown: &impl Serialize) -> Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let syntax = environment.syntax().to_builder().trim_blocks(true).lstrip_blocks(true).build()?;
        environment.set_syntax(syntax);
        environment.add_filter("count", |number: usize, thing: String| count(number, &thing));
        environment.add_template("page.html", self.template)?;
        let whole = Whole { policy: self.policy(), style: self.style, script: self.script, shown };
        environment.get_template("page.html")?.render(minijinja::value::Serde(whole))
    }

    /// Lets nothing be loaded, and nothing but the page's own style and script work.
    fn policy(self) -> String {
        let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
        let script = if self.script.is_empty() { String::new() } else { format!(" script-src 'sha256-{}';", hash(self.script)) };
        format!("default-src 'none'; style-src 'sha256-{}';{script} base-uri 'none'; form-action 'none'", hash(self.style))
    }
}
