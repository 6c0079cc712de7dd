//! Tests of `route`, `edge` and `stop`, from values.

use std::time::Duration;

use proptest::prelude::*;

use super::{Itinerary, RouteCache, RouteQuery, search};
use crate::lang::Value;
use crate::model::estate::Waiver;
use crate::model::inventory::Observation;
use crate::model::name::StrategyName;
use crate::model::provider::{Blocked, Movement, Provider, Risk, Route};
use crate::plan::sample::{
    blocked, catalogue, fact, minutes, now, observed, provider, provider_of, release, req, risk, route, stop, subject, version,
};
use crate::plan::waiver::Waivers;

/// Asks for a move of `p.main`.
struct Ask<'a> {
    provider: &'a Provider,
    movement: Movement,
    strategy: Option<&'a str>,
    waivers: &'a [Waiver],
    observation: Option<&'a Observation>,
}

impl<'a> Ask<'a> {
    fn new(provider: &'a Provider, movement: Movement) -> Self {
        Self { provider, movement, strategy: None, waivers: &[], observation: None }
    }

    fn way(&self, from: &str, to: &str) -> Result<Itinerary, Vec<String>> {
        let (catalogue, subject) = (catalogue(self.provider), subject(self.provider, self.observation));
        let parse = |text: &str| (!text.is_empty()).then(|| version(text));
        let (from, to) = (parse(from), parse(to));
        let strategy = self.strategy.map(StrategyName::new);
        search(&RouteQuery {
            subject: &subject,
            catalogue: &catalogue,
            movement: self.movement,
            from: from.as_ref(),
            to: to.as_ref(),
            strategy: strategy.as_ref(),
            waivers: &Waivers::new(self.waivers, now()),
            cache: &RouteCache::default(),
        })
    }
}

fn upgrade(provider: &Provider, from: &str, to: &str) -> Result<Itinerary, Vec<String>> {
    Ask::new(provider, Movement::Upgrade).way(from, to)
}

fn stops(way: &Itinerary) -> Vec<String> {
    let shown =
        |version: &Option<crate::model::version::Version>| version.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    way.legs.iter().map(|leg| shown(&leg.from)).chain(way.legs.last().map(|leg| shown(&leg.to))).collect()
}

fn routes(name: &str, versions: &[&str], routes: Vec<Route>) -> Provider {
    Provider { routes, ..provider_of(name, versions) }
}

fn one_minor() -> Route {
    Route { when: Some(crate::plan::sample::expr("to.major == from.major && to.minor - from.minor <= 1")), ..route("one_minor") }
}

#[test]
fn a_minor_is_not_skipped_where_a_release_lies_between() {
    let etcd = routes("etcd", &["3.3.27", "3.4.1", "3.4.27", "3.5.1"], vec![one_minor()]);
    let way = upgrade(&etcd, "3.3.27", "3.5.1").unwrap();
    assert_eq!(stops(&way), ["3.3.27", "3.4.27", "3.5.1"]);
    assert!(way.why[0].starts_with("3.3.27 → 3.4.27 → 3.5.1 in 2 hops"), "{:?}", way.why);
    assert!(way.why[1].starts_with("not in one hop: route \"one_minor\" needs to.major"), "{:?}", way.why);
}

#[test]
fn without_a_release_between_the_refusal_says_what_the_route_needs() {
    let etcd = routes("etcd", &["3.3.27", "3.5.1"], vec![one_minor()]);
    let why = upgrade(&etcd, "3.3.27", "3.5.1").unwrap_err();
    assert_eq!(
        why[0],
        "no route leads from 3.3.27 to 3.5.1: route \"one_minor\" needs to.major == from.major && to.minor - from.minor <= 1"
    );
    assert!(why[1].starts_with("no release between 3.3.27 and 3.5.1 is known"), "{why:?}");
}

#[test]
fn a_dead_end_names_how_far_one_gets_and_what_was_left_aside() {
    let mut etcd = routes("etcd", &["3.3.27", "3.4.1", "3.5.0", "3.6.0"], vec![one_minor()]);
    etcd.releases[2].withdrawn = Some("it corrupts data".to_owned());
    let why = upgrade(&etcd, "3.3.27", "3.6.0").unwrap_err();
    assert!(
        why.iter().any(|line| line.starts_with("3.4.1 can be reached, but from there to 3.6.0: route \"one_minor\"")),
        "{why:?}"
    );
    assert!(why.contains(&"3.5.0 lies between but was withdrawn by the vendor: it corrupts data".to_owned()), "{why:?}");
}

#[test]
fn least_downtime_comes_first_then_risk_then_hops_then_the_newest_stop() {
    let costs = |from: &str, to: &str, name: &str, downtime: u64, risk: u32| Route {
        from: Some(req(from)),
        to: Some(req(to)),
        downtime: Some(minutes(downtime)),
        risk,
        ..route(name)
    };
    let versions = ["1", "2", "3", "4"];
    let direct = costs("1", "4", "direct", 30, 0);
    let dss = routes("p", &versions, vec![direct.clone(), costs("1", "2", "a", 5, 0), costs("2", "4", "b", 5, 0)]);
    let way = upgrade(&dss, "1", "4").unwrap();
    assert_eq!(stops(&way), ["1", "2", "4"]);
    assert_eq!(way.why[0], "1 → 2 → 4 in 2 hops: about 10m of downtime");
    assert_eq!(way.why[1], "in one hop by route \"direct\" it would be 30m of downtime");

    let dss = routes("p", &versions, vec![direct.clone(), costs("1", "2", "a", 15, 5), costs("2", "4", "b", 15, 5)]);
    assert_eq!(stops(&upgrade(&dss, "1", "4").unwrap()), ["1", "4"]);
    let dss = routes("p", &versions, vec![direct, costs("1", "2", "a", 15, 0), costs("2", "4", "b", 15, 0)]);
    assert_eq!(stops(&upgrade(&dss, "1", "4").unwrap()), ["1", "4"]);
    let any = Route { from: Some(req("1")), to: Some(req("2 || 3")), ..route("a") };
    let dss = routes("p", &versions, vec![any, Route { from: Some(req("2 || 3")), to: Some(req("4")), ..route("b") }]);
    assert_eq!(stops(&upgrade(&dss, "1", "4").unwrap()), ["1", "3", "4"]);
}

#[test]
fn of_two_routes_for_a_hop_the_cheaper_is_taken_and_the_other_is_named() {
    let slow = Route { downtime: Some(minutes(60)), ..route("slow") };
    let fast = Route { downtime: Some(minutes(5)), strategy: "clone".into(), risk: 20, ..route("fast") };
    let way = upgrade(&routes("p", &["1", "2"], vec![slow, fast]), "1", "2").unwrap();
    assert_eq!(&*way.legs[0].route, "fast");
    assert_eq!(
        way.why,
        [
            "1 → 2 by route \"fast\", strategy \"clone\": 5m of downtime, risk 20",
            "route \"slow\", strategy \"in_place\", would be 1h of downtime"
        ]
    );
}

#[test]
fn a_required_stop_is_made_even_where_one_hop_would_do() {
    let provider =
        Provider { required_stops: vec![stop("~> 3.4.0")], ..routes("p", &["3.3", "3.4.1", "3.4.2", "3.5"], vec![route("any")]) };
    let way = upgrade(&provider, "3.3", "3.5").unwrap();
    assert_eq!(stops(&way), ["3.3", "3.4.2", "3.5"]);
    assert!(way.why[1].contains("`~> 3.4.0` may not be passed without a stop: the metadata is migrated there"), "{:?}", way.why);
}

#[test]
fn a_required_stop_without_a_release_blocks_the_way() {
    let provider = Provider { required_stops: vec![stop("3.4.27")], ..routes("p", &["3.3", "3.5"], vec![route("any")]) };
    let why = upgrade(&provider, "3.3", "3.5").unwrap_err();
    assert!(why[0].contains("`3.4.27` may not be passed"), "{why:?}");
}

#[test]
fn each_alternative_of_a_required_stop_is_a_stop() {
    let provider = Provider { required_stops: vec![stop("2 || 4")], ..routes("p", &["1", "2", "3", "4", "5"], vec![route("any")]) };
    assert_eq!(stops(&upgrade(&provider, "1", "5").unwrap()), ["1", "2", "4", "5"]);
}

#[test]
fn a_blocked_move_is_gone_round_or_waived_by_name() {
    let block =
        Blocked { from: Some(req("1")), to: Some(req("3")), url: Some("https://example.org/kb".to_owned()), ..blocked("kb7") };
    let provider = Provider { blocked: vec![block], ..routes("p", &["1", "2", "3"], vec![route("any")]) };
    let way = upgrade(&provider, "1", "3").unwrap();
    assert_eq!(stops(&way), ["1", "2", "3"]);
    assert!(way.why[1].contains("blocked (\"kb7\"): it loses data (https://example.org/kb)"), "{:?}", way.why);
    let waivers = [crate::plan::sample::waiver("kb7")];
    let way = Ask { waivers: &waivers, ..Ask::new(&provider, Movement::Upgrade) }.way("1", "3").unwrap();
    assert_eq!(stops(&way), ["1", "3"]);
    assert_eq!(way.waived.len(), 1);
    assert!(way.waived[0].reason.ends_with("waived: kb7 is fine"), "{:?}", way.waived);
}

#[test]
fn an_expired_waiver_lets_nothing_pass_and_is_named() {
    let provider = Provider { blocked: vec![blocked("kb7")], ..routes("p", &["1", "2"], vec![route("any")]) };
    let waivers = [Waiver { until: Some("2026-05-01T00:00:00Z".parse().unwrap()), ..crate::plan::sample::waiver("kb7") }];
    let why = Ask { waivers: &waivers, ..Ask::new(&provider, Movement::Upgrade) }.way("1", "2").unwrap_err();
    assert!(why[0].contains("the waiver `kb7` expired at 2026-05-01T00:00:00Z"), "{why:?}");
}

#[test]
fn a_risk_holds_where_its_rule_is_true_or_cannot_be_evaluated() {
    let with = |rule: &str| Provider {
        risks: vec![risk("r1", rule)],
        facts: [("space".into(), fact())].into_iter().collect(),
        ..routes("p", &["1", "2"], vec![route("any")])
    };
    assert!(upgrade(&with("to.major > 2"), "1", "2").is_ok());
    let why = upgrade(&with("to.major == 2"), "1", "2").unwrap_err();
    assert!(why[0].contains("not recommended (\"r1\"): queries may fail (https://example.org/risk); a waiver \"r1\""), "{why:?}");
    let seen = observed(&[("space", Err("connection refused"))]);
    let provider = with("fact.space < 10");
    let why = Ask { observation: Some(&seen), ..Ask::new(&provider, Movement::Upgrade) }.way("1", "2").unwrap_err();
    assert!(why[0].contains("connection refused"), "{why:?}");
    let why = upgrade(&with("\"yes\""), "1", "2").unwrap_err();
    assert!(why[0].contains("it is a string and not true or false"), "{why:?}");
    let seen = observed(&[("space", Ok(Value::from(50_u64)))]);
    assert!(Ask { observation: Some(&seen), ..Ask::new(&provider, Movement::Upgrade) }.way("1", "2").is_ok());
}

#[test]
fn an_install_is_one_hop_and_rules_about_where_it_comes_from_do_not_apply() {
    let install = Route { movement: Movement::Install, ..route("fresh") };
    let from_old = Route { movement: Movement::Install, from: Some(req("*")), ..route("never") };
    let provider = Provider {
        risks: vec![risk("jump", "to.major - from.major > 1")],
        blocked: vec![Blocked { to: Some(req("2")), ..blocked("bad2") }],
        ..routes("p", &["1", "2", "3"], vec![from_old, install])
    };
    let way = Ask::new(&provider, Movement::Install).way("", "3").unwrap();
    assert_eq!((stops(&way), &*way.legs[0].route), (vec!["-".to_owned(), "3".to_owned()], "fresh"));
    let why = Ask::new(&provider, Movement::Install).way("", "2").unwrap_err();
    assert!(why[0].starts_with("no route leads from nothing to 2:") && why[0].contains("bad2"), "{why:?}");
}

#[test]
fn reconfigure_and_remove_are_not_held_by_blocks_on_versions() {
    let provider = Provider {
        blocked: vec![blocked("all")],
        ..routes(
            "p",
            &["1"],
            vec![
                Route { movement: Movement::Reconfigure, ..route("again") },
                Route { movement: Movement::Remove, ..route("away") },
            ],
        )
    };
    assert_eq!(stops(&Ask::new(&provider, Movement::Reconfigure).way("1", "1").unwrap()), ["1", "1"]);
    assert_eq!(stops(&Ask::new(&provider, Movement::Remove).way("1", "").unwrap()), ["1", "-"]);
}

#[test]
fn a_downgrade_goes_down_over_the_newest_stops() {
    let down = Route {
        movement: Movement::Downgrade,
        when: Some(crate::plan::sample::expr("from.minor - to.minor <= 1")),
        ..route("down")
    };
    let provider = routes("p", &["1.0", "1.1", "1.1.5", "1.2"], vec![down]);
    assert_eq!(stops(&Ask::new(&provider, Movement::Downgrade).way("1.2", "1.0").unwrap()), ["1.2", "1.1.5", "1.0"]);
    assert!(Ask::new(&provider, Movement::Downgrade).way("1.0", "1.2").is_err());
    assert!(Ask::new(&provider, Movement::Upgrade).way("1.2", "1.2").is_err());
}

#[test]
fn the_strategy_asked_for_restricts_upgrades() {
    let provider = routes("p", &["1", "2"], vec![route("a"), Route { strategy: "clone".into(), risk: 50, ..route("b") }]);
    let ask = Ask { strategy: Some("clone"), ..Ask::new(&provider, Movement::Upgrade) };
    assert_eq!(&*ask.way("1", "2").unwrap().legs[0].route, "b");
    let why = Ask { strategy: Some("manual"), ..Ask::new(&provider, Movement::Upgrade) }.way("1", "2").unwrap_err();
    assert!(why[0].contains("route \"a\" goes by strategy \"in_place\", and \"manual\" is asked for"), "{why:?}");
}

#[test]
fn a_provider_without_routes_or_with_a_wrong_strategy_is_told_so() {
    assert!(upgrade(&provider("p"), "1", "2").unwrap_err()[0].contains("provider p has no route for an upgrade"));
    let lost = routes("p", &[], vec![Route { strategy: "gone".into(), ..route("a") }]);
    assert!(upgrade(&lost, "1", "2").unwrap_err()[0].contains("names strategy \"gone\""));
}

#[test]
fn withdrawn_releases_prereleases_and_other_channels_are_no_stops() {
    let mut etcd = routes("etcd", &["3.3.0", "3.4.0", "3.4.1-rc1", "3.4.2", "3.5.0"], vec![one_minor()]);
    etcd.releases[1].withdrawn = Some("broken".to_owned());
    etcd.releases[3].channels = vec!["edge".to_owned()];
    assert!(upgrade(&etcd, "3.3.0", "3.5.0").is_err());
    etcd.releases[3].channels.push("stable".to_owned());
    assert_eq!(stops(&upgrade(&etcd, "3.3.0", "3.5.0").unwrap()), ["3.3.0", "3.4.2", "3.5.0"]);
}

#[test]
fn hundreds_of_releases_are_searched_and_an_unlikely_only_stop_is_still_found() {
    let mut product = provider("p");
    product.releases = (0..300).map(|patch| release("p", &format!("1.0.{patch}"))).collect();
    product.routes = vec![Route { when: Some(crate::plan::sample::expr("to.patch - from.patch <= 150")), ..route("short") }];
    let way = upgrade(&product, "1.0.0", "1.0.299").unwrap();
    assert_eq!(stops(&way), ["1.0.0", "1.0.150", "1.0.299"]);
}

#[test]
fn an_answer_is_shared_by_instances_that_conditions_see_alike() {
    let mut product = routes("p", &["1", "2"], vec![route("any")]);
    product.facts.insert("space".into(), fact());
    product.facts.insert("other".into(), fact());
    product.locals.insert("enough".into(), crate::plan::sample::expr("fact.space > 10"));
    product.routes[0].when = Some(crate::plan::sample::expr("local.enough"));
    let cache = RouteCache::default();
    let ask = |space: Result<Value, &'static str>, other: u64| {
        let seen = observed(&[("space", space), ("other", Ok(Value::from(other)))]);
        let (catalogue, subject) = (catalogue(&product), subject(&product, Some(&seen)));
        let (from, to, waivers) = (version("1"), version("2"), Waivers::default());
        search(&RouteQuery {
            subject: &subject,
            catalogue: &catalogue,
            movement: Movement::Upgrade,
            from: Some(&from),
            to: Some(&to),
            strategy: None,
            waivers: &waivers,
            cache: &cache,
        })
    };
    assert!(ask(Ok(Value::from(5_u64)), 1).is_err());
    assert!(ask(Ok(Value::from(50_u64)), 1).is_ok());
    assert!(ask(Ok(Value::from(50_u64)), 2).is_ok());
    assert_eq!(cache.answers.borrow().len(), 2);
    assert!(ask(Err("first reason"), 1).unwrap_err()[0].contains("first reason"));
    assert!(ask(Err("second reason"), 1).unwrap_err()[0].contains("second reason"));
    assert!(ask(Ok(Value::from(50_u64).sensitive()), 1).is_ok());
    assert!(ask(Ok(Value::from(5_u64).sensitive()), 1).is_err());
    assert_eq!(cache.answers.borrow().len(), 2);
}

#[test]
fn a_shared_answer_is_not_given_to_an_instance_with_another_waiver() {
    let product = Provider { blocked: vec![blocked("kb7")], ..routes("p", &["1", "2"], vec![route("any")]) };
    let cache = RouteCache::default();
    let ask = |waivers: &[Waiver]| {
        let (catalogue, subject) = (catalogue(&product), subject(&product, None));
        let (from, to, waivers) = (version("1"), version("2"), Waivers::new(waivers, now()));
        let movement = Movement::Upgrade;
        search(&RouteQuery {
            subject: &subject,
            catalogue: &catalogue,
            movement,
            from: Some(&from),
            to: Some(&to),
            strategy: None,
            waivers: &waivers,
            cache: &cache,
        })
    };
    assert!(ask(&[]).is_err());
    assert!(ask(&[crate::plan::sample::waiver("kb7")]).is_ok());
    assert!(ask(&[crate::plan::sample::waiver("other")]).is_err());
    assert_eq!(cache.answers.borrow().len(), 2);
}

/// A random product: versions 1 to `count`, routes between pairs, single required stops, blocked pairs.
#[derive(Debug, Clone)]
struct World {
    count: usize,
    edges: Vec<(usize, usize, u64, u32)>,
    required: Vec<usize>,
    forbidden: Vec<(usize, usize)>,
}

fn world() -> impl Strategy<Value = World> {
    (2_usize..8).prop_flat_map(|count| {
        let pair = (1..=count, 1..=count);
        (
            proptest::collection::vec((1..=count, 1..=count, 0_u64..4, 0_u32..3), 0..24),
            proptest::collection::vec(1..=count, 0..3),
            proptest::collection::vec(pair, 0..4),
        )
            .prop_map(move |(edges, required, forbidden)| World { count, edges, required, forbidden })
    })
}

impl World {
    fn provider(&self) -> Provider {
        let exact = |number: &usize| Some(req(&number.to_string()));
        let routes = self.edges.iter().enumerate().map(|(at, (from, to, downtime, risk))| Route {
            from: exact(from),
            to: exact(to),
            downtime: Some(minutes(*downtime)),
            risk: *risk,
            ..route(&format!("r{at}"))
        });
        Provider {
            releases: (1..=self.count).map(|number| release("p", &number.to_string())).collect(),
            routes: routes.collect(),
            required_stops: self.required.iter().map(|number| stop(&number.to_string())).collect(),
            blocked: self.forbidden.iter().map(|(from, to)| Blocked { from: exact(from), to: exact(to), ..blocked("b") }).collect(),
            risks: Vec::<Risk>::new(),
            ..provider("p")
        }
    }

    /// The least cost of any path, by trying them all.
    fn cheapest(&self, at: usize) -> Option<(Duration, u64, usize)> {
        if at == self.count {
            return Some((Duration::ZERO, 0, 0));
        }
        let usable = |(from, to, ..): &&(usize, usize, u64, u32)| {
            *from == at
                && *to > at
                && !self.forbidden.contains(&(*from, *to))
                && !self.required.iter().any(|stop| from < stop && stop < to)
        };
        let beyond = |(_, to, downtime, risk): &(usize, usize, u64, u32)| {
            let (rest, risks, hops) = self.cheapest(*to)?;
            Some((rest + minutes(*downtime), risks + u64::from(*risk), hops + 1))
        };
        self.edges.iter().filter(usable).filter_map(beyond).min()
    }
}

proptest! {
    #[test]
    fn a_way_chains_passes_no_stop_and_costs_no_more_than_any_other(world in world()) {
        let provider = world.provider();
        let target = world.count.to_string();
        let found = upgrade(&provider, "1", &target);
        let cheapest = world.cheapest(1);
        prop_assert_eq!(found.is_ok(), cheapest.is_some(), "{:?} against {:?}", &found, &cheapest);
        if let (Ok(way), Some(cheapest)) = (&found, cheapest) {
            let numbers: Vec<usize> = stops(way).iter().map(|text| text.parse().unwrap()).collect();
            prop_assert_eq!(numbers.first(), Some(&1));
            prop_assert_eq!(numbers.last(), Some(&world.count));
            prop_assert!(way.legs.windows(2).all(|pair| pair[0].to == pair[1].from), "legs must chain");
            for pair in numbers.windows(2) {
                prop_assert!(!world.required.iter().any(|stop| pair[0] < *stop && *stop < pair[1]), "{:?} passes a stop", pair);
                prop_assert!(!world.forbidden.contains(&(pair[0], pair[1])));
            }
            let downtime: Duration = way.legs.iter().filter_map(|leg| leg.downtime).sum();
            let risk: u64 = way.legs.iter().map(|leg| u64::from(leg.risk)).sum();
            prop_assert_eq!((downtime, risk, way.legs.len()), cheapest);
        } else if let Err(why) = &found {
            prop_assert!(!why.is_empty());
        }
    }

    #[test]
    fn the_same_question_has_the_same_answer_in_whatever_order_routes_are_declared(world in world()) {
        let provider = world.provider();
        let target = world.count.to_string();
        let found = upgrade(&provider, "1", &target);
        prop_assert_eq!(&found, &upgrade(&provider, "1", &target));
        let mut other = provider;
        other.routes.reverse();
        other.required_stops.reverse();
        let again = upgrade(&other, "1", &target);
        prop_assert_eq!(found.as_ref().ok().map(stops), again.as_ref().ok().map(stops));
    }
}
