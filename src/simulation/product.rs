//! A scenario's products as providers: written in the provider language, read as any provider is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::driver::SCHEMA;
use super::scenario::{Product, StepShape, UndoShape, Work};
use super::twist::ByHand;
use crate::config::provider_from_files;
use crate::driver::{Driver as _, Manual};
use crate::model::name::ProviderName;
use crate::model::provider::Provider;
use crate::source::SourceMap;

/// Names of the items of a fanned-out step.
const ITEMS: [&str; 3] = ["a", "b", "c"];

/// The provider of a product, by number, in a revision.
pub(super) fn provider(number: usize, product: &Product, revision: u8) -> Provider {
    let name = ProviderName::from(format!("p{number}").as_str());
    let text = Text { product, revision, text: String::new() }.write(number);
    let files = BTreeMap::from([(Arc::from("provider.hcl"), Arc::from(text.clone().into_bytes()))]);
    let mut sources = SourceMap::new();
    match provider_from_files(&name, files, &BTreeMap::new(), &[SCHEMA, *Manual.schema()], &mut sources) {
        Ok((provider, _)) => provider,
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(|problem| format!("{problem} {:?}", problem.detail)).collect();
            panic!("{problems:?}\n{text}")
        }
    }
}

/// The effects that a step of a product has.
pub(super) fn effects(product: &Product, step: &str) -> Vec<String> {
    let shape = step.strip_prefix('s').and_then(|number| product.steps.get(number.parse::<usize>().ok()?));
    match shape.map(|shape| shape.work) {
        Some(Work::FanOut { items, .. }) => ITEMS.iter().take(items.into()).map(|item| format!("{step}#{item}")).collect(),
        _ => vec![step.to_owned()],
    }
}

/// The text of a provider, as far as it is written.
struct Text<'a> {
    product: &'a Product,
    revision: u8,
    text: String,
}

impl Text<'_> {
    fn write(mut self, number: usize) -> String {
        let revision = self.revision;
        let _ = writeln!(
            self.text,
            "provider \"p{number}\" {{\n  version = \"1.0.{revision}\"\n  version_scheme = \"dotted\"\n}}\n\
             fact \"version\" {{\n  sim {{\n    look = \"version\"\n  }}\n  value = result.version\n}}"
        );
        for version in 1..4 {
            let _ = writeln!(self.text, "release \"{version}\" {{}}");
        }
        self.text.push_str("route \"install\" {\n  movement = \"install\"\n  strategy = \"move\"\n}\n");
        match self.product.stepwise {
            false => self.text.push_str("route \"upgrade\" {\n  strategy = \"move\"\n}\n"),
            true => (1..3).for_each(|from| {
                let to = from + 1;
                let _ = writeln!(
                    self.text,
                    "route \"from_{from}\" {{\n  from = \"= {from}\"\n  to = \"= {to}\"\n  strategy = \"move\"\n}}"
                );
            }),
        }
        self.text.push_str("route \"remove\" {\n  movement = \"remove\"\n  strategy = \"remove\"\n}\n");
        self.text.push_str("strategy \"move\" {\n");
        if self.product.maintenance {
            let more =
                format!("repeatable = true\n    opens = \"maintenance\"\n{}", self.undo("enter", "closes = \"maintenance\""));
            self.step("enter", "", &more);
        }
        self.probe();
        for (index, shape) in self.product.steps.iter().enumerate() {
            match shape.work {
                Work::Poll { looks } => self.poll(index, shape, looks),
                _ => self.acts(index, shape),
            }
        }
        let all: Vec<String> = (0..self.product.steps.len()).map(|index| format!("step.s{index}")).collect();
        let mut more = match all.is_empty() {
            true => self.first(),
            false => format!("after = [{}]\n", all.join(", ")),
        };
        if self.product.checked {
            more.push_str(&check("version", ""));
        }
        more.push_str(&self.undo("version", "supervised"));
        self.step("version", "takes = 2\n      supervised = true\n", &more);
        if self.product.maintenance {
            let more = format!(
                "after = [step.version]\n    repeatable = true\n    closes = \"maintenance\"\n{}",
                self.undo("leave", "opens = \"maintenance\"")
            );
            self.step("leave", "", &more);
        }
        self.text.push_str("}\nstrategy \"remove\" {\n");
        let undo = self.undo("remove", "");
        self.step("remove", "", &undo);
        self.text.push_str("}\n");
        self.text
    }

    /// What a step waits for that comes before all others.
    fn first(&self) -> String {
        if self.product.maintenance { "after = [step.enter]\n" } else { "after = []\n" }.to_owned()
    }

    fn probe(&mut self) {
        let Some(passes) = self.product.probe else { return };
        let mut during: Vec<String> = (0..self.product.steps.len()).map(|index| format!("step.s{index}")).collect();
        during.push("step.version".to_owned());
        let (after, during, allow) = (self.first(), during.join(", "), if passes { 1000 } else { 0 });
        let _ = writeln!(
            self.text,
            "  step \"watch\" {{\n    {after}    sim {{\n      look = \"well\"\n      instance = instance.address\n    }}\n    \
             probe {{\n      during = [{during}]\n      pass = result.done\n      interval = \"5s\"\n      allow = {allow}\n    }}\n    \
             harmless = true\n  }}"
        );
    }

    fn poll(&mut self, index: usize, shape: &StepShape, looks: u8) {
        let (after, more) = (self.place(index, shape), patience(shape));
        let _ = writeln!(
            self.text,
            "  step \"s{index}\" {{\n    {after}    sim {{\n      wait = \"s{index}\"\n      instance = instance.address\n      \
             to = to.text\n      looks = {looks}\n    }}\n    poll {{\n      until = result.done\n      interval = \"2s\"\n    }}\n    \
             {more}    harmless = true\n  }}"
        );
    }

    /// What a step waits for, where that is not the step before.
    fn place(&self, index: usize, shape: &StepShape) -> String {
        match (index, shape.early && !self.product.maintenance) {
            (0, _) => self.first(),
            (_, true) => "after = []\n".to_owned(),
            (_, false) => String::new(),
        }
    }

    fn acts(&mut self, index: usize, shape: &StepShape) {
        let name = format!("s{index}");
        let (mut args, mut fan_out) =
            (format!("takes = {}\n      supervised = {}\n", shape.takes, shape.supervised), String::new());
        let mut more = self.place(index, shape);
        let mut each = "";
        if let Work::FanOut { items, at_once } = shape.work {
            each = "item = each.key\n";
            args.push_str("      item = each.key\n");
            let items: Vec<String> = ITEMS.iter().take(items.into()).map(|item| format!("\"{item}\"")).collect();
            fan_out = format!("fan_out {{\n      items = [{}]\n      at_once = {at_once}\n    }}\n", items.join(", "));
        }
        for (flag, line) in [
            (shape.repeatable, "repeatable = true\n"),
            (shape.downtime, "downtime = true\n"),
            (shape.tolerant, "tolerate = [error.kind == \"unreachable\"]\n"),
        ] {
            more.push_str(if flag { line } else { "" });
        }
        more.push_str(&patience(shape));
        more.push_str(&fan_out);
        if shape.checked {
            more.push_str(&check(&name, each));
        }
        match shape.undo {
            UndoShape::Call if shape.by_hand == ByHand::StepAndUndo => {
                let _ = writeln!(more, "    undo {{\n      {}    }}", self.asked("undo", &name));
            }
            UndoShape::Call => {
                let supervised = if shape.supervised { "supervised" } else { "" };
                more.push_str(&self.undo_of(&name, supervised, each, &fan_out));
            }
            UndoShape::Harmless => more.push_str("harmless = true\n"),
            UndoShape::Never => more.push_str("irreversible = true\n"),
        }
        if shape.by_hand == ByHand::No {
            return self.step(&name, &args, &more);
        }
        let asked = self.asked("do", &name);
        let _ = writeln!(self.text, "  step \"{name}\" {{\n    {asked}    {more}\n  }}");
    }

    /// A call that asks a person, who reads in it what to do.
    fn asked(&self, what: &str, name: &str) -> String {
        let revision = self.revision;
        format!("manual {{\n      instructions = \"{what} {name} {revision} ${{instance.address}} ${{to.text}}\"\n    }}\n")
    }

    fn step(&mut self, name: &str, args: &str, more: &str) {
        let to = if name == "remove" { "" } else { "to = to.text\n" };
        let revision = self.revision;
        let _ = writeln!(
            self.text,
            "  step \"{name}\" {{\n    sim {{\n      do = \"{name}\"\n      instance = instance.address\n      \
             revision = {revision}\n      {to}{args}    }}\n    {more}\n  }}"
        );
    }

    fn undo(&self, name: &str, more: &str) -> String {
        match more {
            "" | "supervised" => self.undo_of(name, more, "", ""),
            bracket => self.undo_of(name, "", "", bracket),
        }
    }

    fn undo_of(&self, name: &str, supervised: &str, each: &str, more: &str) -> String {
        let (supervised, revision) = (!supervised.is_empty(), self.revision);
        let to = if name == "remove" { "" } else { "to = to.text\n" };
        format!(
            "    undo {{\n      sim {{\n        undo = \"{name}\"\n        instance = instance.address\n        \
             from = try(from.text, null)\n        {to}        supervised = {supervised}\n        revision = {revision}\n        \
             {each}      }}\n      retry {{\n        attempts = 2\n        backoff = \"1s\"\n      }}\n      {more}\n    }}\n"
        )
    }
}

fn patience(shape: &StepShape) -> String {
    format!("    timeout = \"90s\"\n    retry {{\n      attempts = {}\n      backoff = \"1s\"\n    }}\n", shape.attempts)
}

fn check(name: &str, each: &str) -> String {
    format!(
        "    check {{\n      sim {{\n        look = \"{name}\"\n        instance = instance.address\n        to = to.text\n        \
         {each}      }}\n      done = result.done\n    }}\n"
    )
}
