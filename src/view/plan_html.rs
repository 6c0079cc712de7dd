//! A plan as one page for a browser: what a reviewer must know first, the graph as a picture, the timeline, every action with its
//! commands and differences.
//!
//! Without the script all is there but the search.

mod beside;
mod brief;
mod picture;
#[cfg(test)]
pub(super) mod sample;
mod step;
mod timeline;

use serde::Serialize;

use super::compared::Compared;
use super::estimate::basis;
use super::page::Page;
use super::plan_json::Previews;
use super::plan_text;
use crate::plan::{Action, ActionKind, Change, Plan, Report, Revised};
use beside::Beside;
use brief::Brief;
use picture::{Picture, Words, picture, waves};
use step::{DiffView, Step, diff_view, steps};
use timeline::{Timeline, timeline};

const PAGE: Page = Page {
    template: include_str!("plan_html/page.html"),
    style: include_str!("plan_html/page.css"),
    script: include_str!("plan_html/page.js"),
};

/// What the template sees.
#[derive(Serialize)]
struct Shown {
    brief: Brief,
    beside: Beside,
    /// Where the times come from.
    basis: String,
    picture: Option<Picture>,
    /// What a picture says of each action, and tables too.
    labels: Vec<Label>,
    waves: Vec<Vec<usize>>,
    timeline: Option<Timeline>,
    changes: Vec<ChangeView>,
    /// Providers that are others than were used last, and what is other in them.
    revised: Vec<(String, Vec<DiffView>)>,
    /// Whether any difference of documents is shown.
    differs: bool,
}

/// An action, in a few words.
#[derive(Serialize)]
struct Label {
    title: String,
    instance: String,
    /// Words for what must not be missed: `downtime`, `no way back`.
    signs: Vec<&'static str>,
    down: bool,
    point: bool,
    landmark: bool,
}

/// What happens to an instance.
#[derive(Serialize)]
struct ChangeView {
    instance: String,
    place: String,
    provider: String,
    verb: &'static str,
    versions: String,
    why: Vec<String>,
    /// Name, before, after.
    settings: Vec<[String; 3]>,
    hops: Vec<HopView>,
}

/// A stretch of the way.
#[derive(Serialize)]
struct HopView {
    versions: String,
    strategy: String,
    route: String,
    risk: u32,
    downtime: String,
    reverts: Option<String>,
    steps: Vec<Step>,
}

/// The plan as one HTML page.
///
/// # Errors
/// A mistake in the page's template; none that is known.
pub fn plan_html(plan: &Plan, report: &Report, previews: &Previews, compared: &Compared) -> Result<String, minijinja::Error> {
    let beside = Beside::of(compared);
    let labels = labels(plan);
    let words: Vec<Words> = labels.iter().map(|label| words(label, plan.changes.len() > 1)).collect();
    let shown = Shown {
        brief: Brief::of(plan, report, beside.is_idle()),
        beside,
        basis: basis(plan),
        picture: picture(plan, &words),
        labels,
        waves: waves(plan),
        timeline: timeline(plan),
        changes: plan.changes.iter().map(|change| change_view(plan, change, previews)).collect(),
        revised: plan.revised.iter().map(revised).collect(),
        differs: !previews.is_empty(),
    };
    PAGE.show(&shown)
}

fn revised(revised: &Revised) -> (String, Vec<DiffView>) {
    let views = revised.files.iter().flatten().map(|file| diff_view(&file.diff.path, &file.diff.text));
    (revised.headline(), views.collect())
}

fn labels(plan: &Plan) -> Vec<Label> {
    let points: std::collections::BTreeSet<u32> =
        plan.changes.iter().flat_map(|change| &change.hops).filter_map(|hop| hop.point_of_no_return).collect();
    (0..).zip(&plan.actions).map(|(number, action)| label(plan, action, points.contains(&number))).collect()
}

fn label(plan: &Plan, action: &Action, point: bool) -> Label {
    let change = plan.changes.get(action.change as usize);
    let mut signs = Vec::new();
    if action.downtime {
        signs.push("downtime");
    }
    if point {
        signs.push("no way back");
    }
    Label {
        title: match action.kind {
            ActionKind::Pause(pause) if !pause.is_zero() => format!("{} ({})", action.title, super::duration(pause)),
            _ => action.title.to_string(),
        },
        instance: change.map(|change| change.instance.to_string()).unwrap_or_default(),
        signs,
        down: action.downtime,
        point,
        landmark: action.kind.call().is_none(),
    }
}

/// What stands in the picture. Signs have a shape, so that they are told apart without colour.
fn words(label: &Label, several: bool) -> Words {
    let sign = |shown: bool, sign: &'static str| if shown { sign } else { "" };
    let name = picture::tail(&label.instance);
    let instance = if several { &name } else { "" };
    let mut below: Vec<&str> = vec![instance, sign(label.down, "▼ downtime"), sign(label.point, "✖ no way back")];
    below.retain(|part| !part.is_empty());
    Words { title: label.title.clone(), below: below.join(" · ") }
}

fn change_view(plan: &Plan, change: &Change, previews: &Previews) -> ChangeView {
    let Change { instance, provider, environment, host, decision, from, to, why, settings, hops, .. } = change;
    ChangeView {
        instance: instance.to_string(),
        place: host.as_ref().map_or_else(|| environment.to_string(), |host| format!("{environment}, {host}")),
        provider: provider.to_string(),
        verb: plan_text::verb(*decision),
        versions: plan_text::versions(from.as_ref(), to.as_ref()),
        why: why.clone(),
        settings: settings
            .iter()
            .map(|diff| [diff.name.to_string(), plan_text::value_text(&diff.before), plan_text::value_text(&diff.after)])
            .collect(),
        hops: hops
            .iter()
            .map(|hop| HopView {
                versions: plan_text::versions(hop.from.as_ref(), hop.to.as_ref()),
                strategy: hop.strategy.to_string(),
                route: hop.route.to_string(),
                risk: hop.risk,
                downtime: super::estimate::hop_downtime(hop),
                reverts: hop.reverts.as_ref().map(ToString::to_string),
                steps: steps(plan, hop, previews),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_knows_the_page_s_own_style_and_script() {
        let page =
            plan_html(&sample::plan(&[vec![], vec![0]]), &Report::default(), &Previews::new(), &Compared::default()).unwrap();
        let between = |open: &str, close: &str| page.split_once(open).unwrap().1.split_once(close).unwrap().0;
        let policy = between("content=\"default-src", "\">").replace("&#x27;", "'").replace("&#x2f;", "/");
        for (text, directive) in [(between("<style>", "</style>"), "style-src"), (between("<script>", "</script>"), "script-src")] {
            let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
            assert!(policy.contains(&format!("{directive} 'sha256-{hash}'")), "{directive} {hash}: {policy}");
        }
        assert!(!page.contains(" style=") && !page.contains(" onclick"), "what the policy forbids is not used");
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let mut plan = sample::plan(&[vec![], vec![0]]);
        plan.actions[0].title = "<script>alert(1)</script>".into();
        plan.changes[0].why = vec!["\"><img src=x onerror=alert(1)>".to_owned()];
        let diff = crate::model::driver::Diff { path: "</pre><b>".to_owned(), text: "+</pre><script>".to_owned() };
        let previews = Previews::from([(plan.actions[1].id.clone(), vec![diff])]);
        let page = plan_html(&plan, &Report::default(), &previews, &Compared::default()).unwrap();
        for outside in ["<script>alert", "<img", "<b>", "+</pre>"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("&lt;img src=x"));
    }

    #[test]
    fn what_was_pending_and_what_is_not_approved_stand_in_the_page() {
        let compared = super::super::compared::sample(2);
        let page = plan_html(&sample::plan(&[vec![]]), &Report::default(), &Previews::new(), &compared).unwrap();
        for shown in [
            "What this change alters",
            "changes otherwise than before",
            "tell @everyone &lt;b&gt;",
            "Pending before this change: 2",
        ] {
            assert!(page.contains(shown), "{shown}");
        }
        assert!(page.contains("This plan adds 2 things to the approved plan") && page.contains("app.i0: it was not to change"));
        let idle = crate::plan::Delta { altered: Vec::new(), ..compared.delta.unwrap() };
        let compared = Compared { delta: Some(idle), against: None };
        let page = plan_html(
            &Plan { changes: Vec::new(), actions: Vec::new(), ..sample::plan(&[]) },
            &Report::default(),
            &Previews::new(),
            &compared,
        )
        .unwrap();
        assert!(page.contains("<h1>Nothing changes because of this</h1>") && page.contains("upgrade 1 → 2"));
    }

    #[test]
    fn an_action_says_in_words_what_a_colour_says() {
        let mut plan = sample::plan(&[vec![], vec![0]]);
        plan.actions[1].downtime = true;
        plan.changes[0].hops[0].point_of_no_return = Some(1);
        let label = label(&plan, &plan.actions[1], true);
        assert_eq!(words(&label, false).below, "▼ downtime · ✖ no way back");
        assert_eq!(words(&label, true).below, "app.main · ▼ downtime · ✖ no way back");
    }
}
