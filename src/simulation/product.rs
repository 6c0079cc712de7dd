//! A scenario's products as providers: written in the provider language, read as any provider is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::driver::SCHEMA;
use super::scenario::{Product, UndoShape};
use crate::config::provider_from_files;
use crate::model::name::ProviderName;
use crate::model::provider::Provider;
use crate::source::SourceMap;

/// The provider of a product, by number.
pub(super) fn provider(number: usize, product: &Product) -> Provider {
    let name = ProviderName::from(format!("p{number}").as_str());
    let files = BTreeMap::from([(Arc::from("provider.hcl"), Arc::from(text(number, product).into_bytes()))]);
    let mut sources = SourceMap::new();
    match provider_from_files(&name, files, &BTreeMap::new(), &[SCHEMA], &mut sources) {
        Ok((provider, _)) => provider,
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(|problem| format!("{problem} {:?}", problem.detail)).collect();
            panic!("{problems:?}\n{}", text(number, product))
        }
    }
}

fn text(number: usize, product: &Product) -> String {
    let mut text = format!("provider \"p{number}\" {{\n  version = \"1.0.0\"\n  version_scheme = \"dotted\"\n}}\n");
    text.push_str("fact \"version\" {\n  sim {\n    look = \"version\"\n  }\n  value = result.version\n}\n");
    for version in 1..4 {
        let _ = writeln!(text, "release \"{version}\" {{}}");
    }
    text.push_str("route \"install\" {\n  movement = \"install\"\n  strategy = \"move\"\n}\n");
    text.push_str("route \"upgrade\" {\n  strategy = \"move\"\n}\n");
    text.push_str("route \"remove\" {\n  movement = \"remove\"\n  strategy = \"remove\"\n}\n");
    text.push_str("strategy \"move\" {\n");
    if product.maintenance {
        step(
            &mut text,
            "enter",
            "enter",
            "repeatable = true\n    undo {\n      sim {\n        undo = \"enter\"\n        instance = instance.address\n        to = to.text\n      }\n    }",
        );
    }
    for (index, shape) in product.steps.iter().enumerate() {
        let name = format!("s{index}");
        let mut more = String::new();
        if shape.early && !product.maintenance {
            more.push_str("after = []\n");
        }
        for (flag, line) in [
            (shape.repeatable, "repeatable = true\n"),
            (shape.downtime, "downtime = true\n"),
            (shape.tolerant, "tolerate = [error.kind == \"unreachable\"]\n"),
        ] {
            more.push_str(if flag { line } else { "" });
        }
        let _ =
            writeln!(more, "timeout = \"90s\"\n    retry {{\n      attempts = {}\n      backoff = \"1s\"\n    }}", shape.attempts);
        if shape.checked {
            more.push_str(&check(&name));
        }
        match shape.undo {
            UndoShape::Call => more.push_str(&undo(&name, shape.supervised)),
            UndoShape::Harmless => more.push_str("harmless = true\n"),
            UndoShape::Never => more.push_str("irreversible = true\n"),
        }
        let args = format!("takes = {}\n      supervised = {}\n", shape.takes, shape.supervised);
        step_with(&mut text, &name, &name, &args, &more);
    }
    let all: Vec<String> = (0..product.steps.len()).map(|index| format!("step.s{index}")).collect();
    let mut more = match (all.is_empty(), product.maintenance) {
        (true, false) => "after = []\n".to_owned(),
        (true, true) => "after = [step.enter]\n".to_owned(),
        (false, _) => format!("after = [{}]\n", all.join(", ")),
    };
    if product.checked {
        more.push_str(&check("version"));
    }
    more.push_str(&undo("version", true));
    step_with(&mut text, "version", "version", "takes = 2\n      supervised = true\n", &more);
    if product.maintenance {
        step(
            &mut text,
            "leave",
            "leave",
            "repeatable = true\n    undo {\n      sim {\n        undo = \"leave\"\n        instance = instance.address\n        to = to.text\n      }\n    }",
        );
    }
    text.push_str("}\nstrategy \"remove\" {\n");
    step(
        &mut text,
        "remove",
        "remove",
        "undo {\n      sim {\n        undo = \"remove\"\n        instance = instance.address\n      }\n    }",
    );
    text.push_str("}\n");
    text
}

fn step(text: &mut String, name: &str, effect: &str, more: &str) {
    step_with(text, name, effect, "", more);
}

fn step_with(text: &mut String, name: &str, effect: &str, args: &str, more: &str) {
    let to = if effect == "remove" { "" } else { "to = to.text\n" };
    let _ = writeln!(
        text,
        "  step \"{name}\" {{\n    sim {{\n      do = \"{effect}\"\n      instance = instance.address\n      {to}{args}    }}\n    {more}\n  }}"
    );
}

fn check(name: &str) -> String {
    format!(
        "    check {{\n      sim {{\n        look = \"{name}\"\n        instance = instance.address\n        to = to.text\n      }}\n      done = result.done\n    }}\n"
    )
}

fn undo(name: &str, supervised: bool) -> String {
    format!(
        "    undo {{\n      sim {{\n        undo = \"{name}\"\n        instance = instance.address\n        from = try(from.text, null)\n        to = to.text\n        supervised = {supervised}\n      }}\n      retry {{\n        attempts = 2\n        backoff = \"1s\"\n      }}\n    }}\n"
    )
}
