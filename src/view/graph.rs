//! The graph of a plan, for Graphviz and for Mermaid.

use std::fmt::Write as _;

use crate::plan::{Action, ActionKind, ActionUndo, Plan};

/// Which way the graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What apply does.
    Forward,
    /// What undoes it: the actions that have an undo, with every edge reversed.
    Back,
}

/// The graph in Graphviz' language, instances as clusters.
#[must_use]
pub fn graph_dot(plan: &Plan, way: Way) -> String {
    let mut text = String::from("digraph windlass {\n  rankdir = LR;\n  node [shape = box, fontname = \"sans-serif\"];\n");
    for (index, (change, members)) in plan.changes.iter().zip(members(plan, way)).enumerate() {
        let _ = writeln!(text, "  subgraph cluster_{index} {{\n    label = {};", quoted(change.instance.as_str()));
        for (number, action) in members {
            let style = if action.downtime { ", style = filled, fillcolor = \"#ffe0b0\"" } else { "" };
            let _ = writeln!(text, "    a{number} [label = {}{style}];", quoted(&label(action, way)));
        }
        text.push_str("  }\n");
    }
    for (from, to) in edges(plan, way) {
        let _ = writeln!(text, "  a{from} -> a{to};");
    }
    text.push_str("}\n");
    text
}

/// The graph in Mermaid's language, as forges draw it in Markdown.
#[must_use]
pub fn graph_mermaid(plan: &Plan, way: Way) -> String {
    let mut text = String::from("flowchart LR\n");
    for (index, (change, members)) in plan.changes.iter().zip(members(plan, way)).enumerate() {
        let _ = writeln!(text, "  subgraph c{index}[{}]", quoted(change.instance.as_str()));
        for (number, action) in members {
            let class = if action.downtime { ":::downtime" } else { "" };
            let _ = writeln!(text, "    a{number}[{}]{class}", quoted(&label(action, way)));
        }
        text.push_str("  end\n");
    }
    for (from, to) in edges(plan, way) {
        let _ = writeln!(text, "  a{from} --> a{to}");
    }
    text.push_str("  classDef downtime fill:#ffe0b0,stroke:#c07000\n");
    text
}

fn is_drawn(action: &Action, way: Way) -> bool {
    way == Way::Forward || matches!(action.undo, ActionUndo::Call { .. })
}

/// The drawn actions of each change.
fn members(plan: &Plan, way: Way) -> Vec<Vec<(usize, &Action)>> {
    let mut members = vec![Vec::new(); plan.changes.len()];
    for (number, action) in plan.actions.iter().enumerate().filter(|(_, action)| is_drawn(action, way)) {
        if let Some(own) = members.get_mut(action.change as usize) {
            own.push((number, action));
        }
    }
    members
}

fn label(action: &Action, way: Way) -> String {
    let title = match (&action.kind, way) {
        (ActionKind::Record, _) => "record".to_owned(),
        (ActionKind::Pause(pause), _) => format!("wait {}", super::duration(*pause)),
        (ActionKind::Verify { .. }, _) => "healthy?".to_owned(),
        (_, Way::Forward) => action.title.to_string(),
        (_, Way::Back) => format!("undo: {}", action.title),
    };
    if matches!(action.undo, ActionUndo::Irreversible) { format!("{title} (no way back)") } else { title }
}

/// Edges between drawn actions. Going back, an action that has no undo is passed through.
fn edges(plan: &Plan, way: Way) -> Vec<(usize, usize)> {
    let mut edges = Vec::new();
    // For each action the nearest drawn actions before it.
    let mut before: Vec<Vec<usize>> = Vec::with_capacity(plan.actions.len());
    for (number, action) in plan.actions.iter().enumerate() {
        let mut nearest: Vec<usize> = Vec::new();
        for need in action.needs.iter().map(|need| *need as usize) {
            match plan.actions.get(need) {
                Some(needed) if is_drawn(needed, way) => nearest.push(need),
                _ => nearest.extend(before.get(need).into_iter().flatten()),
            }
        }
        nearest.sort_unstable();
        nearest.dedup();
        if is_drawn(action, way) {
            edges.extend(nearest.iter().map(|need| match way {
                Way::Forward => (*need, number),
                Way::Back => (number, *need),
            }));
        }
        before.push(nearest);
    }
    edges
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "'"))
}
