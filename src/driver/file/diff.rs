//! What writing a file would change, for the plan.

use std::path::Path;

use crate::driver::{Context, Diff};

/// Longer documents are only said to differ.
const MOST: u64 = 1 << 20;

/// The difference between what is at a path and what shall be there (`after` is `None`: nothing). `None`: it cannot be said.
pub(crate) async fn diff(ctx: &Context, path: &str, after: Option<&[u8]>) -> Option<Vec<Diff>> {
    let before = ctx.host.read(Path::new(path), MOST).await.ok()?;
    let size = |bytes: Option<usize>| bytes.map_or("nothing".to_owned(), |bytes| format!("{bytes} bytes"));
    let old = before.as_ref().map(|content| content.bytes.as_slice());
    if old == after && !before.as_ref().is_some_and(|content| content.truncated) {
        return Some(Vec::new());
    }
    let long = before.as_ref().is_some_and(|content| content.truncated) || after.is_some_and(|after| after.len() as u64 > MOST);
    let texts = match (old.map(str::from_utf8).transpose(), after.map(str::from_utf8).transpose()) {
        (Ok(old), Ok(new)) if !long => Some((old, new)),
        _ => None,
    };
    let text = match texts {
        Some((old, new)) => {
            // Hidden before they are compared, so that a secret changed is not a difference shown.
            let hidden = |text: Option<&str>| ctx.redact.apply(text.unwrap_or_default()).into_owned();
            let (was, will) = (hidden(old), hidden(new));
            let name = |text: Option<&str>| text.map_or("/dev/null", |_| path);
            let text = similar::TextDiff::from_lines(&was, &will)
                .unified_diff()
                .context_radius(3)
                .header(name(old), name(new))
                .to_string();
            if text.is_empty() { "only sensitive content, or whether there is a file, changes\n".to_owned() } else { text }
        }
        None => {
            let old = if before.as_ref().is_some_and(|content| content.truncated) {
                format!("more than {MOST} bytes")
            } else {
                size(old.map(<[u8]>::len))
            };
            format!("binary or long: {old} -> {}\n", size(after.map(<[u8]>::len)))
        }
    };
    Some(vec![Diff { path: path.to_owned(), text }])
}
