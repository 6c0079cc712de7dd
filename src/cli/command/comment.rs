//! `windlass comment`: posts a plan, or a text, as the one comment on a pull request.
#![expect(clippy::disallowed_methods, reason = "a door: reads the text, and the variables of the pipeline")]

use std::io::Read as _;

use crate::cli::args::{CommentArgs, ForgeKind};
use crate::cli::exit::Exit;
use crate::cli::planfile::PlanFile;
use crate::cli::problem::file_problem;
use crate::cli::session::Place;
use crate::forge::{Comment, ForgeError, Kind, Patience, Surroundings, TOKEN, Target, post};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::view::{Page, Previews, plan_markdown};

/// A text larger than this is not read.
const LARGEST: u64 = 16 << 20;

/// Runs the command.
pub(in crate::cli) async fn run(args: &CommentArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let target = target(args)?;
    let body = body(args, place)?;
    let what = format!("{} {}#{}", target.kind.title(), target.repository, target.number);
    let comment = Comment { key: &args.key, body: &body, fresh: args.fresh };
    let posted = post(target, comment, Patience::default()).await.map_err(problem)?;
    let mut line = match (posted.unchanged, posted.updated) {
        (true, _) => format!("The comment on {what} says that already"),
        (_, true) => format!("Changed the comment on {what}"),
        _ => format!("Wrote a comment on {what}"),
    };
    if posted.hidden > 0 {
        line.push_str(&format!(", and took {} older out of sight", posted.hidden));
    }
    if let Some(url) = &posted.url {
        line.push_str(&format!(": {url}"));
    }
    place.terminal.say(&line);
    for remark in &posted.remarks {
        place.terminal.say(remark);
    }
    Ok(Exit::Done)
}

/// Where to post: what is given, else what the pipeline's variables say. Everything that is missing is told at once.
fn target(args: &CommentArgs) -> Result<Target, Diagnostics> {
    let variable = |name: &str| std::env::var(name).ok();
    let surroundings = Surroundings { variable: &variable };
    let found = surroundings.find(args.forge.map(kind));
    let mut missing = Diagnostics::new();
    let mut lacks = |what: &str, help: &str| {
        missing.push(Diagnostic::error("pull request is not known").detail(format!("{what} is not given")).help(help));
    };
    let Some(kind) = found.kind else {
        lacks("the forge", "give --forge github, gitlab or gitea; in a pipeline of one of them it is found out");
        return Err(missing);
    };
    let api = args.api.clone().or(found.api);
    let repository = args.repo.clone().or(found.repository);
    let number = args.number.or(found.number);
    let token = surroundings.token(kind);
    if api.is_none() {
        lacks("the address of the API", "give it with --api, like https://forge.example.org/api/v1");
    }
    if repository.is_none() {
        lacks("the repository", "give it with --repo owner/name");
    }
    if number.is_none() {
        lacks("the number of the pull request", "give it with --number; pipelines know it where they run for a pull request");
    }
    if token.is_none() {
        lacks("the token", &format!("put it into the environment variable {TOKEN}; it is never taken from the command line"));
    }
    match (api, repository, number, token) {
        (Some(api), Some(repository), Some(number), Some(token)) => {
            Ok(Target { kind, api, repository, number, token, ca_file: args.ca_file.clone() })
        }
        _ => Err(missing),
    }
}

fn kind(kind: ForgeKind) -> Kind {
    match kind {
        ForgeKind::Github => Kind::GitHub,
        ForgeKind::Gitlab => Kind::GitLab,
        ForgeKind::Gitea => Kind::Gitea,
    }
}

/// What to post, within the limit.
fn body(args: &CommentArgs, place: &Place) -> Result<String, Diagnostics> {
    // Room for the mark that the comment is found by.
    let limit = args.page.limit - 100 - args.key.len().min(400);
    if let Some(path) = &args.plan {
        let file = PlanFile::load(&place.root.join(path))?;
        let foot = format!("\n<sub>Plan `{}`</sub>\n", file.digest());
        let page = Page { limit: limit - foot.len(), link: args.page.link.as_deref() };
        return Ok(plan_markdown(&file.plan, &file.report, &Previews::new(), page) + &foot);
    }
    let path = args.body.clone().unwrap_or_else(|| "-".into());
    let mut text = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(LARGEST).read_to_end(&mut text)
    } else {
        std::fs::File::open(place.root.join(&path)).and_then(|file| file.take(LARGEST).read_to_end(&mut text))
    };
    read.map_err(|error| file_problem("text cannot be read", &path, &error))?;
    let text = String::from_utf8(text).map_err(|_| {
        Diagnostic::error("text cannot be read").detail(format!("{} is not UTF-8", path.display())).help("give a Markdown file")
    })?;
    if text.trim().is_empty() {
        return Err(Diagnostic::error("there is nothing to post")
            .detail(format!("{} is empty", path.display()))
            .help("look why what should have written it did not")
            .into());
    }
    Ok(within(text, limit, args.page.link.as_deref()))
}

/// A text cut at the end of a line, with how much is missing.
fn within(text: String, limit: usize, link: Option<&str>) -> String {
    if text.len() <= limit {
        return text;
    }
    let place = link.map(|link| format!("; [everything is here]({})", link.replace([' ', ')', '\n'], ""))).unwrap_or_default();
    let room = limit.saturating_sub(place.len() + 120);
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if end + line.len() > room {
            break;
        }
        end += line.len();
    }
    let (kept, left) = text.split_at(end);
    let fence = if kept.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1 { "```\n" } else { "" };
    format!("{kept}{fence}\n_Left out for length: {} lines{place}._\n", left.lines().count())
}

fn problem(error: ForgeError) -> Diagnostic {
    let fault = if error.status.is_some_and(|status| status < 500) { Fault::User } else { Fault::Platform };
    Diagnostic::error("comment cannot be posted").fault(fault).detail(error.what).help(error.help)
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn a_long_text_is_cut_at_a_line_and_says_so() {
        let text = "```diff\n".to_owned() + &"+ a line\n".repeat(1000) + "```\n";
        let cut = within(text.clone(), 2000, Some("https://example.org/x y)"));
        assert!(cut.len() <= 2000, "{}", cut.len());
        assert!(cut.contains("+ a line\n```\n\n_Left out for length: "), "{cut}");
        assert!(cut.ends_with("lines; [everything is here](https://example.org/xy)._\n"), "{cut}");
        assert_eq!(within(text.clone(), text.len(), None), text);
    }
}
