//! Where a pipeline runs: which forge, which repository, which pull request, from the variables that forges set.
//!
//! Takes the environment as a function, so that it is pure. GitHub Actions, GitLab CI, Gitea and Forgejo Actions are known.

use super::Kind;

/// The variable that holds the token, for every forge; each forge's own is asked after it.
pub const TOKEN: &str = "WINDLASS_FORGE_TOKEN";

/// The environment.
pub struct Surroundings<'a> {
    /// A variable's value.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// What the variables say. What they do not say is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Which forge.
    pub kind: Option<Kind>,
    /// The address of its API.
    pub api: Option<String>,
    /// The repository.
    pub repository: Option<String>,
    /// The pull request.
    pub number: Option<u64>,
}

impl Surroundings<'_> {
    /// Finds out what can be found out for a forge, or for the one whose pipeline this is.
    #[must_use]
    pub fn find(&self, wanted: Option<Kind>) -> Found {
        let here = self.kind();
        let kind = wanted.or(here);
        let plain = Found { kind, api: public_api(kind), ..Found::default() };
        // The variables of one forge say nothing of another.
        if here.is_none() || kind != here {
            return plain;
        }
        match kind {
            Some(Kind::GitLab) => Found {
                api: self.get("CI_API_V4_URL").or(plain.api),
                repository: self.get("CI_MERGE_REQUEST_PROJECT_ID").or_else(|| self.get("CI_PROJECT_ID")),
                number: self.get("CI_MERGE_REQUEST_IID").and_then(|number| number.parse().ok()),
                kind,
            },
            Some(Kind::GitHub | Kind::Gitea) => {
                let own = |name: &str| self.get(&format!("GITEA_{name}")).or_else(|| self.get(&format!("GITHUB_{name}")));
                let own = |name: &str| if kind == Some(Kind::Gitea) { own(name) } else { self.get(&format!("GITHUB_{name}")) };
                let server = || own("SERVER_URL").map(|server| format!("{}/api/v1", server.trim_end_matches('/')));
                let gitea = || if kind == Some(Kind::Gitea) { server() } else { None };
                Found {
                    api: own("API_URL").or_else(gitea).or(plain.api),
                    repository: own("REPOSITORY"),
                    // `refs/pull/7/merge` on GitHub, `refs/pull/7/head` on Gitea.
                    number: own("REF").and_then(|text| text.strip_prefix("refs/pull/")?.split('/').next()?.parse().ok()),
                    kind,
                }
            }
            None => plain,
        }
    }

    /// The token for a forge, from the variables that hold one.
    #[must_use]
    pub fn token(&self, kind: Kind) -> Option<String> {
        std::iter::once(TOKEN).chain(token_variables(kind).iter().copied()).find_map(|name| self.get(name))
    }

    fn kind(&self) -> Option<Kind> {
        let is = |name: &str| self.get(name).is_some_and(|value| value != "false");
        // Gitea and Forgejo set GitHub's variables, too.
        if is("GITEA_ACTIONS") || is("FORGEJO_ACTIONS") {
            Some(Kind::Gitea)
        } else if is("GITHUB_ACTIONS") {
            Some(Kind::GitHub)
        } else if is("GITLAB_CI") {
            Some(Kind::GitLab)
        } else {
            None
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.variable)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }
}

/// The variables that people keep a forge's token in.
#[must_use]
pub(super) fn token_variables(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::GitHub => &["GITHUB_TOKEN", "GH_TOKEN"],
        Kind::GitLab => &["GITLAB_TOKEN"],
        Kind::Gitea => &["GITEA_TOKEN", "FORGEJO_TOKEN", "GITHUB_TOKEN"],
    }
}

fn public_api(kind: Option<Kind>) -> Option<String> {
    match kind? {
        Kind::GitHub => Some("https://api.github.com".to_owned()),
        Kind::GitLab => Some("https://gitlab.com/api/v4".to_owned()),
        Kind::Gitea => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(wanted: Option<Kind>, variables: &[(&str, &str)]) -> (Found, Option<String>) {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let surroundings = Surroundings { variable: &variable };
        let found = surroundings.find(wanted);
        let token = found.kind.and_then(|kind| surroundings.token(kind));
        (found, token)
    }

    fn found(kind: Kind, api: &str, repository: &str, number: u64) -> Found {
        Found { kind: Some(kind), api: Some(api.into()), repository: Some(repository.into()), number: Some(number) }
    }

    #[test]
    fn each_forges_pipeline_is_known_by_its_variables() {
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", "https://ghe.example.org/api/v3"),
            ("GITHUB_REPOSITORY", "o/n"),
            ("GITHUB_REF", "refs/pull/7/merge"),
            ("GITHUB_TOKEN", "t1"),
        ];
        assert_eq!(find(None, &github), (found(Kind::GitHub, "https://ghe.example.org/api/v3", "o/n", 7), Some("t1".into())));
        let gitlab = [
            ("GITLAB_CI", "true"),
            ("CI_API_V4_URL", "https://gitlab.example.org/api/v4"),
            ("CI_PROJECT_ID", "9"),
            ("CI_MERGE_REQUEST_IID", "3"),
            ("GITLAB_TOKEN", "t2"),
        ];
        assert_eq!(find(None, &gitlab), (found(Kind::GitLab, "https://gitlab.example.org/api/v4", "9", 3), Some("t2".into())));
        let gitea = [
            ("GITEA_ACTIONS", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://git.example.org/"),
            ("GITHUB_REPOSITORY", "o/n"),
            ("GITHUB_REF", "refs/pull/12/head"),
            ("GITHUB_TOKEN", "t3"),
        ];
        assert_eq!(find(None, &gitea), (found(Kind::Gitea, "https://git.example.org/api/v1", "o/n", 12), Some("t3".into())));
    }

    #[test]
    fn the_variables_of_one_forge_say_nothing_of_another() {
        let (found, _) =
            find(Some(Kind::GitLab), &[("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "o/n"), ("CI_PROJECT_ID", "9")]);
        assert_eq!(found, Found { kind: Some(Kind::GitLab), api: Some("https://gitlab.com/api/v4".into()), ..Found::default() });
        assert_eq!(find(None, &[("GITHUB_REPOSITORY", "o/n")]).0, Found::default());
    }

    #[test]
    fn our_own_variable_comes_before_the_forges() {
        assert_eq!(find(Some(Kind::Gitea), &[(TOKEN, "a"), ("GITEA_TOKEN", "b")]).1, Some("a".into()));
    }
}
