//! The fleet as one HTML page: a matrix that leads to every product in every environment, and what waits for somebody.
//! It has no script.

use serde::Serialize;

use super::cell::{self, Cell, Level};
use super::{Blocked, Fleet, Open, Wait, open_runs, waits};
use crate::plan::{Drift, InstanceState, Sight};
use crate::view::count;
use crate::view::page::Page;

const PAGE: Page = Page { template: include_str!("page.html"), style: include_str!("page.css"), script: "" };
/// A cell of more instances than this names only those that need somebody.
const NAMED: usize = 100;

/// What the template sees.
#[derive(Serialize)]
struct Shown<'a> {
    at: String,
    headline: String,
    environments: Vec<&'a str>,
    rows: Vec<Row<'a>>,
    sections: Vec<Section<'a>>,
    waits: Vec<Waiting<'a>>,
    blocked: &'a [Blocked],
    owed: Vec<Owed<'a>>,
    brackets: Vec<Left<'a>>,
    runs: Vec<Open<'a>>,
    holders: Vec<Held<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    product: &'a str,
    cells: Vec<Option<Square>>,
}

/// A cell as the matrix shows it.
#[derive(Serialize)]
struct Square {
    id: String,
    level: Level,
    word: &'static str,
    total: usize,
    groups: Vec<cell::Group>,
    remarks: Vec<String>,
}

/// A cell as its own part of the page.
#[derive(Serialize)]
struct Section<'a> {
    id: String,
    product: String,
    environment: String,
    level: Level,
    words: String,
    instances: Vec<Line<'a>>,
    /// Those that are as declared and too many to name: by version, with their addresses.
    rest: Vec<Rest<'a>>,
}

#[derive(Serialize)]
struct Rest<'a> {
    what: String,
    count: usize,
    instances: Vec<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    instance: &'a str,
    declared: &'a str,
    recorded: &'a str,
    observed: String,
    level: Level,
    /// Words for its state; what is wrong, with its message.
    said: Vec<String>,
}

#[derive(Serialize)]
struct Waiting<'a> {
    #[serde(flatten)]
    wait: Wait<'a>,
    who: String,
}

#[derive(Serialize)]
struct Owed<'a> {
    instance: &'a str,
    what: Vec<&'a str>,
}

#[derive(Serialize)]
struct Left<'a> {
    instance: &'a str,
    name: &'a str,
    since: String,
    run: &'a str,
}

#[derive(Serialize)]
struct Held<'a> {
    environment: &'a str,
    who: &'a str,
    operation: &'a str,
    since: String,
}

/// The page.
///
/// # Errors
/// The template has a mistake: a defect of Windlass.
pub fn fleet_html(fleet: &Fleet<'_>) -> Result<String, minijinja::Error> {
    let cells = cell::cells(fleet);
    let shown = Shown {
        at: time(fleet.now),
        headline: headline(fleet, &cells),
        environments: fleet.environments.iter().map(|name| name.as_str()).collect(),
        rows: cell::products(fleet)
            .into_iter()
            .zip(&cells)
            .map(|(product, cells)| Row { product, cells: cells.iter().map(|cell| cell.as_ref().map(square)).collect() })
            .collect(),
        sections: cells.iter().flatten().flatten().map(|cell| section(fleet, cell)).collect(),
        waits: waits(fleet).into_iter().map(|wait| Waiting { who: wait.who(), wait }).collect(),
        blocked: fleet.blocked,
        owed: fleet
            .states
            .iter()
            .filter(|state| !state.follow_ups.is_empty())
            .map(|state| Owed { instance: state.instance.as_str(), what: state.follow_ups.iter().map(|owed| &**owed).collect() })
            .collect(),
        brackets: fleet
            .brackets
            .iter()
            .map(|left| Left {
                instance: left.bracket.instance.as_str(),
                name: &left.bracket.name,
                since: time(left.bracket.opened),
                run: left.run.as_str(),
            })
            .collect(),
        runs: open_runs(fleet),
        holders: fleet
            .holders
            .iter()
            .map(|(environment, holder)| Held {
                environment: environment.as_str(),
                who: &holder.who,
                operation: &holder.operation,
                since: time(holder.since),
            })
            .collect(),
    };
    PAGE.show(&shown)
}

fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn headline(fleet: &Fleet<'_>, cells: &[Vec<Option<Cell>>]) -> String {
    let wrong = fleet.states.iter().filter(|state| !state.drift.is_empty() || matches!(state.observed, Sight::Unseen(_))).count();
    let pending = fleet.states.iter().filter(|state| state.pending).count();
    let is_good = cells.iter().flatten().flatten().all(|cell| cell.level() == Level::Good);
    let size = format!(
        "{} of {} in {}",
        count(fleet.states.len(), "instance"),
        count(cells.len(), "product"),
        count(fleet.environments.len(), "environment")
    );
    match (wrong, pending) {
        (0, 0) if is_good => format!("{size}: all as declared"),
        (0, 0) => size,
        (0, pending) => format!("{size}: {pending} to change"),
        (wrong, 0) => format!("{size}: {wrong} not as recorded"),
        (wrong, pending) => format!("{size}: {wrong} not as recorded, {pending} to change"),
    }
}

fn id(cell: &Cell) -> String {
    // Names have only letters, digits, `_` and `-`.
    format!("{}.{}", cell.product, cell.environment)
}

fn square(cell: &Cell) -> Square {
    Square {
        id: id(cell),
        level: cell.level(),
        word: match cell.level() {
            Level::Good => "✓ as declared",
            Level::Waits => "◔ to do",
            Level::Bad => "✖ wrong",
        },
        total: cell.total,
        groups: cell.groups.clone(),
        remarks: cell.remarks(),
    }
}

fn section<'a>(fleet: &Fleet<'a>, cell: &Cell) -> Section<'a> {
    let members = || {
        fleet
            .states
            .iter()
            .filter(|state| state.provider.as_str() == cell.product && state.environment.as_str() == cell.environment)
    };
    let all = cell.total <= NAMED;
    let mut rest: Vec<Rest<'a>> = Vec::new();
    for state in members().filter(|state| !all && !cell::needs_somebody(state)) {
        let what = cell::what(state);
        match rest.iter_mut().find(|rest| rest.what == what) {
            Some(rest) => {
                rest.count += 1;
                rest.instances.push(state.instance.as_str());
            }
            None => rest.push(Rest { what, count: 1, instances: vec![state.instance.as_str()] }),
        }
    }
    Section {
        id: id(cell),
        product: cell.product.clone(),
        environment: cell.environment.clone(),
        level: cell.level(),
        words: cell.words(),
        instances: members().filter(|state| all || cell::needs_somebody(state)).map(|state| line(fleet, state)).collect(),
        rest,
    }
}

fn line<'a>(fleet: &Fleet<'a>, state: &'a InstanceState) -> Line<'a> {
    let mut said: Vec<String> =
        state.drift.iter().map(|Drift { class, message, .. }| format!("{}: {message}", class.word())).collect();
    let is_open = |left: &&crate::state::OpenBracket| left.bracket.instance == state.instance;
    said.extend(fleet.brackets.iter().filter(is_open).map(|left| format!("still open: {}", left.bracket.name)));
    said.extend(fleet.blocked.iter().filter(|blocked| blocked.instance == state.instance).map(|_| "blocked".to_owned()));
    if let Sight::Unseen(why) = &state.observed
        && said.is_empty()
    {
        said.push(format!("not seen: {why}"));
    }
    let level = match (said.is_empty(), cell::needs_somebody(state)) {
        (false, _) => Level::Bad,
        (true, true) => Level::Waits,
        (true, false) => Level::Good,
    };
    if state.pending {
        said.push("to change".to_owned());
    }
    said.extend(state.follow_ups.iter().map(|owed| format!("owed: {owed}")));
    if said.is_empty() {
        said.push("as declared".to_owned());
    }
    Line {
        instance: state.instance.as_str(),
        declared: state.declared.as_deref().unwrap_or("–"),
        recorded: state.recorded.as_deref().unwrap_or("–"),
        observed: match &state.observed {
            Sight::Version(version) => version.to_string(),
            Sight::Nothing => "nothing".to_owned(),
            Sight::Unseen(_) => "?".to_owned(),
            Sight::NotLooked => "–".to_owned(),
        },
        level,
        said,
    }
}
