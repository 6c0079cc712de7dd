//! The graph of a plan as a picture: where every action and every arrow stands. The page's template writes it as SVG.
//!
//! Takes a plan, gives coordinates; of a plan that is too large for a picture, nothing: its waves are a table.

use std::fmt::Write as _;

use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, Point, RankDir, Ranker};
use serde::Serialize;

use crate::plan::{Action, ActionKind, Plan};

/// A picture of more actions is no help, and takes long.
const MOST_NODES: usize = 300;
/// As for the actions.
const MOST_EDGES: usize = 1200;
/// So many actions beside each other fit a page; more are drawn from left to right.
const BESIDE: usize = 4;
/// Longest title in a box, and longest name of an instance.
const LONGEST: usize = 34;
/// Width of a sign in a box, in pixels; a little more than it is, as nobody knows the reader's letters.
const SIGN: f64 = 7.2;
const HEIGHT: f64 = 44.0;
const MARGIN: f64 = 12.0;

/// The picture, in pixels.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    width: i64,
    height: i64,
    nodes: Vec<Node>,
    /// Paths as SVG writes them.
    edges: Vec<String>,
}

/// An action in the picture: the place of its upper left corner.
#[derive(Debug, Serialize)]
struct Node {
    /// Index into `Plan::actions`.
    action: usize,
    x: i64,
    y: i64,
    width: i64,
    height: i64,
    /// In the first line.
    title: String,
    /// In the second.
    below: String,
}

/// What stands in a box.
pub(super) struct Words {
    /// In the first line.
    pub(super) title: String,
    /// In the second.
    pub(super) below: String,
}

/// The picture; `None` where there is nothing to draw, or too much. `words` are those of each action.
pub(super) fn picture(plan: &Plan, words: &[Words]) -> Option<Picture> {
    let count = plan.actions.len();
    let edges: usize = plan.actions.iter().map(|action| action.needs.len()).sum();
    if count == 0 || count > MOST_NODES || edges > MOST_EDGES {
        return None;
    }
    let widest = waves(plan).iter().map(Vec::len).max().unwrap_or(0);
    let mut graph: Graph<NodeLabel, EdgeLabel> =
        Graph::with_options(GraphOptions { directed: true, multigraph: true, compound: true });
    let texts: Vec<Words> =
        words.iter().map(|words| Words { title: shortened(&words.title), below: words.below.clone() }).collect();
    for (number, (action, text)) in plan.actions.iter().zip(&texts).enumerate() {
        graph.set_node(number.to_string(), Some(NodeLabel { width: width(action, text), height: HEIGHT, ..NodeLabel::default() }));
    }
    for (number, action) in plan.actions.iter().enumerate() {
        for need in &action.needs {
            graph.set_edge(need.to_string(), number.to_string(), Some(EdgeLabel::default()), None);
        }
    }
    let rankdir = if widest <= BESIDE { RankDir::TB } else { RankDir::LR };
    let options = LayoutOptions {
        rankdir,
        // A tenth of the time of the exact one.
        ranker: Ranker::LongestPath,
        nodesep: 18.0,
        ranksep: 34.0,
        edgesep: 10.0,
        marginx: MARGIN,
        marginy: MARGIN,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut graph, Some(options));
    drawn(plan, &graph, texts)
}

fn drawn(plan: &Plan, graph: &Graph<NodeLabel, EdgeLabel>, texts: Vec<Words>) -> Option<Picture> {
    let mut picture = Picture { width: 0, height: 0, nodes: Vec::with_capacity(texts.len()), edges: Vec::new() };
    for (number, Words { title, below }) in texts.into_iter().enumerate() {
        let label = graph.node(&number.to_string())?;
        let (x, y) = (label.x? - label.width / 2.0, label.y? - label.height / 2.0);
        let node =
            Node { action: number, x: pixel(x), y: pixel(y), width: pixel(label.width), height: pixel(label.height), title, below };
        picture.width = picture.width.max(node.x + node.width + pixel(MARGIN));
        picture.height = picture.height.max(node.y + node.height + pixel(MARGIN));
        picture.nodes.push(node);
    }
    for (number, action) in plan.actions.iter().enumerate() {
        for need in &action.needs {
            let label = graph.edge(&need.to_string(), &number.to_string(), None)?;
            picture.edges.push(curve(&label.points));
            for point in &label.points {
                picture.width = picture.width.max(pixel(point.x + MARGIN));
                picture.height = picture.height.max(pixel(point.y + MARGIN));
            }
        }
    }
    Some(picture)
}

/// The actions by how many stand one after the other before them.
pub(super) fn waves(plan: &Plan) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut depths: Vec<usize> = Vec::with_capacity(plan.actions.len());
    for (number, action) in plan.actions.iter().enumerate() {
        let depth = action.needs.iter().filter_map(|&need| depths.get(need as usize)).max().map_or(0, |depth| depth + 1);
        depths.push(depth);
        if waves.len() <= depth {
            waves.resize(depth + 1, Vec::new());
        }
        if let Some(wave) = waves.get_mut(depth) {
            wave.push(number);
        }
    }
    waves
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST - 1).chain(['…']).collect() }
}

/// A name, as short as there is room; the end of a long one tells more than its beginning.
pub(super) fn tail(name: &str) -> String {
    let signs = name.chars().count();
    if signs <= LONGEST { name.to_owned() } else { ['…'].into_iter().chain(name.chars().skip(signs - LONGEST + 1)).collect() }
}

#[expect(clippy::cast_precision_loss, reason = "texts of less than a hundred signs")]
fn width(action: &Action, words: &Words) -> f64 {
    let signs = words.title.chars().count().max(words.below.chars().count()) as f64;
    let least = if matches!(action.kind, ActionKind::Record | ActionKind::Pause(_)) { 60.0 } else { 110.0 };
    (signs * SIGN + 24.0).max(least)
}

#[expect(clippy::cast_possible_truncation, reason = "a picture of 300 boxes is some ten thousand pixels wide")]
fn pixel(place: f64) -> i64 {
    place.round() as i64
}

/// A line through points, with its corners rounded.
fn curve(points: &[Point]) -> String {
    let at = |point: &Point| format!("{} {}", pixel(point.x), pixel(point.y));
    let mut path = String::new();
    for (number, point) in points.iter().enumerate() {
        let _ = match (number, points.get(number + 1)) {
            (0, _) => write!(path, "M{}", at(point)),
            (_, Some(next)) => {
                let middle = Point::new((point.x + next.x) / 2.0, (point.y + next.y) / 2.0);
                write!(path, "Q{} {}", at(point), at(&middle))
            }
            (_, None) => write!(path, "L{}", at(point)),
        };
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        /// Whatever the graph, boxes do not lie on each other, and nothing is outside of the picture.
        #[test]
        fn boxes_stand_apart(needs in proptest::collection::vec(proptest::collection::btree_set(0_u32..40, 0..4), 1..40)) {
            let needs: Vec<Vec<u32>> = needs
                .into_iter()
                .enumerate()
                .map(|(number, needs)| needs.into_iter().filter(|need| (*need as usize) < number).collect())
                .collect();
            let plan = super::super::sample::plan(&needs);
            let words: Vec<Words> =
                (0..needs.len()).map(|number| Words { title: format!("Step {number}"), below: "x".repeat(number) }).collect();
            let picture = picture(&plan, &words).unwrap();
            for (number, one) in picture.nodes.iter().enumerate() {
                prop_assert!(one.x >= 0 && one.y >= 0 && one.x + one.width <= picture.width && one.y + one.height <= picture.height);
                for other in &picture.nodes[number + 1..] {
                    let apart = one.x + one.width <= other.x
                        || other.x + other.width <= one.x
                        || one.y + one.height <= other.y
                        || other.y + other.height <= one.y;
                    prop_assert!(apart, "{:?} lies on {:?}", one, other);
                }
            }
            prop_assert_eq!(picture.edges.len(), needs.iter().map(Vec::len).sum::<usize>());
        }
    }

    #[test]
    fn what_is_too_large_for_a_picture_has_waves() {
        let needs: Vec<Vec<u32>> = (0..=MOST_NODES).map(|number| if number == 0 { vec![] } else { vec![0] }).collect();
        let plan = super::super::sample::plan(&needs);
        let words =
            |plan: &Plan| plan.actions.iter().map(|_| Words { title: String::new(), below: String::new() }).collect::<Vec<_>>();
        assert!(picture(&plan, &words(&plan)).is_none());
        assert_eq!(waves(&plan).iter().map(Vec::len).collect::<Vec<_>>(), [1, MOST_NODES]);
    }

    #[test]
    fn a_title_is_cut_between_letters() {
        assert_eq!(shortened(&"é".repeat(40)), format!("{}…", "é".repeat(LONGEST - 1)));
    }
}
