//! `windlass comment` against each forge's described API: one comment, kept up to date, also on bad days.

use crate::estate::{Estate, Ran};
use crate::forge::{Forge, TOKEN};

/// An estate whose pipeline is on no forge, with a text to post.
fn estate() -> Estate {
    let mut estate = Estate::empty();
    estate.write("comment.md", "### Windlass: 1 to upgrade\n");
    estate.env("WINDLASS_FORGE_TOKEN", TOKEN);
    estate
}

fn comment(estate: &Estate, forge: &Forge, name: &str, more: &[&str]) -> Ran {
    let repository = if name == "gitlab" { "group/sub/project" } else { "owner/name" };
    let args = ["comment", "--body", "comment.md", "--forge", name, "--api", &forge.api, "--repo", repository, "--number", "7"];
    let ran = estate.run(&[&args, more].concat()).sober();
    assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token is shown:\n{}\n{}", ran.out, ran.err);
    ran
}

fn bodies(forge: &Forge) -> Vec<String> {
    forge.comments().iter().map(|comment| comment["body"].as_str().expect("a text").to_owned()).collect()
}

/// One comment is written, found again, changed, and hidden behind a new one.
fn life(name: &str) -> (Estate, Forge) {
    let estate = estate();
    let forge = Forge::start(name, &estate.path("forge"), &[]);
    comment(&estate, &forge, name, &[]).exit(0).says(&["Wrote a comment on", "#7"]);
    comment(&estate, &forge, name, &[]).exit(0).says(&["says that already"]);
    estate.write("comment.md", "### Windlass: 2 to upgrade\n");
    comment(&estate, &forge, name, &[]).exit(0).says(&["Changed the comment"]);
    assert_eq!(bodies(&forge), ["<!-- windlass:plan -->\n### Windlass: 2 to upgrade"]);
    // Another plan has another comment.
    comment(&estate, &forge, name, &["--key", "other"]).exit(0).says(&["Wrote a comment"]);
    assert_eq!(bodies(&forge).len(), 2);
    estate.write("comment.md", "### Windlass: 3 to upgrade\n");
    comment(&estate, &forge, name, &["--fresh"]).exit(0).says(&["Wrote a comment", "took 1 older out of sight"]);
    forge.is_content();
    (estate, forge)
}

#[test]
fn github_has_one_comment_and_hides_the_older_ones() {
    let (estate, forge) = life("github");
    let comments = forge.comments();
    assert_eq!(comments.iter().map(|comment| comment["hidden"].as_bool() == Some(true)).collect::<Vec<_>>(), [true, false, false]);
    // What is hidden is not found again.
    let before = forge.requests().len();
    comment(&estate, &forge, "github", &["--fresh"]).exit(0).says(&["took 1 older out of sight"]);
    let later = forge.requests()[before..].to_vec();
    assert_eq!(later.iter().filter(|request| request.as_str() == "POST /api/graphql").count(), 1, "{later:?}");
    forge.is_content();
}

#[test]
fn gitlab_has_one_note_and_deletes_the_older_ones() {
    let (_estate, forge) = life("gitlab");
    assert_eq!(bodies(&forge).len(), 2);
    let project = "/api/projects/group%2Fsub%2Fproject/merge_requests/7/notes";
    assert!(forge.requests().iter().all(|request| request.contains(project)), "{:?}", forge.requests());
}

#[test]
fn gitea_has_one_comment_and_deletes_the_older_ones() {
    let (_estate, forge) = life("gitea");
    assert_eq!(bodies(&forge).len(), 2);
}

#[test]
fn limits_and_bad_days_are_waited_for_and_nothing_is_written_twice() {
    for name in ["github", "gitlab", "gitea"] {
        let estate = estate();
        let forge = Forge::start(name, &estate.path("forge"), &["429", "ok", "lost"]);
        comment(&estate, &forge, name, &[]).exit(0);
        assert_eq!(bodies(&forge).len(), 1, "{name}: {:?}", forge.requests());
        forge.is_content();
    }
}

#[test]
fn a_forge_that_refuses_is_quoted_with_what_to_do() {
    let mut estate = estate();
    let forge = Forge::start("gitea", &estate.path("forge"), &[]);
    estate.env("WINDLASS_FORGE_TOKEN", "wrong-token");
    let ran = comment(&estate, &forge, "gitea", &[]).exit(1).says(&[
        "comment cannot be posted",
        "401",
        "Bad credentials",
        "the token is not valid",
    ]);
    assert!(!ran.err.contains("wrong-token"), "{}", ran.err);
}

#[test]
fn a_comment_of_somebody_else_with_our_mark_is_left_alone() {
    let estate = estate();
    estate.write("forge/comments", r#"[{"id": 5, "node_id": "IC_5", "body": "<!-- windlass:plan -->\nforged", "foreign": true}]"#);
    let forge = Forge::start("gitea", &estate.path("forge"), &[]);
    comment(&estate, &forge, "gitea", &[]).exit(0).says(&["Wrote a comment", "the comment that was there cannot be changed"]);
    assert_eq!(bodies(&forge)[0], "<!-- windlass:plan -->\nforged");
}

#[test]
fn a_token_never_goes_unprotected_over_a_network() {
    let estate = estate();
    let args = ["comment", "--body", "comment.md", "--forge", "gitea", "--repo", "o/n", "--number", "1", "--api"];
    estate.run(&[&args[..], &["http://forge.example.org/api/v1"]].concat()).exit(1).says(&["only https is used"]);
    // Another authority's certificate is none: nothing is sent.
    estate.run(&["comment", "--body", "comment.md"]).exit(1).says(&["the forge is not given"]);
    estate.run(&["comment", "--body", "comment.md", "--forge", "gitea"]).exit(1).says(&[
        "the address of the API is not given",
        "the repository is not given",
        "the number of the pull request is not given",
    ]);
}

#[test]
fn the_pipelines_variables_say_where_and_a_long_text_is_cut() {
    let mut estate = estate();
    let forge = Forge::start("github", &estate.path("forge"), &[]);
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", forge.api.as_str()),
        ("GITHUB_REPOSITORY", "owner/name"),
        ("GITHUB_REF", "refs/pull/12/merge"),
    ] {
        estate.env(name, value);
    }
    estate.write("comment.md", "a line\n".repeat(20_000));
    estate.good(&["comment", "--body", "comment.md"]).says(&["Wrote a comment on GitHub owner/name#12"]);
    let body = bodies(&forge).remove(0);
    assert!(body.len() <= 65_536 && body.contains("_Left out for length: "), "{} bytes", body.len());
    forge.is_content();
}
