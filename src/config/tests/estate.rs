//! What a correct configuration becomes.

use super::{Case, problems, sample};
use crate::lang::Value;
use crate::model::estate::{OnFailure, Share};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn the_design_page_in_one_configuration_loads() {
    let mut case = Case::new(&[(
        "main.hcl",
        r#"
        windlass {
          required_version = "~> 0.1"
          backend "local" { path = "state" }
        }
        environment "test" {}
        environment "production" {
          promote_from = environment.test
          soak         = "72h"
          window {
            cron = "0 22 * * FRI"
            duration = "6h"
            timezone = "Europe/Paris"
          }
          rollout {
            canary = 1
            batch = "25%"
            max_unavailable = 2
          }
          on_failure = "halt"
        }
        host "dss01" {
          ssh {
            address = "dss01.example.com"
            user    = "dataiku"
          }
          attributes = { rack = "r1" }
        }
        release "sample" "3.0.0" {
          artifact = "kits/sample-3.0.0.tar.gz"
          schema   = 3
        }
        instance "sample" "base" {
          environment = "test"
          version     = "~> 1.0"
          root        = "/srv/base"
        }
        instance "sample" "design" {
          environment = environment.production
          host        = host.dss01
          version     = "2.0.0"
          strategy    = "in_place"
          root        = "/srv/design"
          greeting    = "with ${instance.sample.base.settings.root} on ${host.dss01.attributes.rack}"
          token       = "secret-token"
          backup {
            method  = "incremental"
            exclude = ["temporary", "logs"]
          }
          requires {
            instance = instance.sample.base
            version  = ">= 1.0"
            reason   = "it reads its data"
          }
        }
        waiver "no_backup" {
          instance = instance.sample.design
          reason   = "throw-away"
          until    = "2027-01-31"
        }
        output "address" { value = instance.sample.design.address }
        "#,
    )]);
    let loaded = case.loaded();
    let estate = &loaded.estate;
    assert_eq!(estate.backend.kind, "local");
    assert_eq!(estate.backend.settings["path"], "state".into());
    let production = &estate.environments["production"];
    assert_eq!(production.promote_from.as_ref().unwrap().as_str(), "test");
    assert_eq!(production.rollout.batch, Some(Share::Percent(25)));
    assert_eq!(production.rollout.max_unavailable, Some(Share::Count(2)));
    assert_eq!(production.on_failure, OnFailure::Halt);
    assert_eq!(production.windows[0].duration.as_secs(), 6 * 3600);
    let design = &estate.instances["sample.design"];
    assert_eq!(design.host.as_ref().unwrap().as_str(), "dss01");
    assert_eq!(text(&design.settings["greeting"]), "with /srv/base on r1");
    assert_eq!(text(&design.settings["store"]), "/srv/design/store");
    assert!(design.settings["token"].has_sensitive());
    assert_eq!(design.settings["port"], 8080_i64.into());
    assert_eq!(design.depends_on.iter().map(|address| address.as_str()).collect::<Vec<_>>(), ["sample.base"]);
    assert_eq!(design.backup.get("method"), Some(&"incremental".into()));
    assert_eq!(design.requires[0].instance.as_str(), "sample.base");
    assert_eq!(text(&estate.instances["sample.base"].settings["greeting"]), "hello from base");
    assert_eq!(estate.waivers[0].until.unwrap().to_string(), "2027-01-31T00:00:00Z");
    assert_eq!(estate.outputs["address"].value, "sample.design".into());
    assert_eq!(estate.releases[0].attributes.get("schema"), Some(&3_i64.into()));
    assert!(loaded.warnings.is_empty());
    let sample = &loaded.providers["sample"];
    assert_eq!(sample.strategies["in_place"].steps[2].after.len(), 2);
    assert_eq!(sample.strategies["install"].steps[2].after[0].as_str(), "unpack");
    assert!(sample.files.contains_key("sample.conf.j2"));
}

#[test]
fn for_each_over_maps_sets_and_lists_makes_keyed_instances() {
    for (for_each, keys) in [
        ("{ x = 1, y = 2 }", vec!["x", "y"]),
        ("toset([\"b\", \"a\", \"b\"])", vec!["a", "b"]),
        ("[\"z\", \"m\"]", vec!["m", "z"]),
        ("{}", vec![]),
        ("{ for k in [\"p\", \"q\"] : k => upper(k) if k != \"q\" }", vec!["p"]),
    ] {
        let text = sample(&format!("for_each = {for_each}\n greeting = \"${{each.key}}=${{each.value}}\""));
        let mut case = Case::new(&[("main.hcl", &text)]);
        let estate = case.loaded().estate;
        let wanted: Vec<String> = keys.iter().map(|key| format!("sample.a[\"{key}\"]")).collect();
        assert_eq!(estate.instances.keys().map(|address| address.as_str().to_owned()).collect::<Vec<_>>(), wanted, "{for_each}");
    }
}

#[test]
fn count_makes_numbered_instances_that_can_be_referred_to() {
    let text = sample("count = 3\n port = 8000 + count.index") + "output \"ports\" { value = instance.sample.a[*].settings.port }";
    let estate = Case::new(&[("main.hcl", &text)]).loaded().estate;
    assert_eq!(estate.instances.len(), 3);
    assert_eq!(estate.instances["sample.a[2]"].settings["port"], 8002_i64.into());
    assert_eq!(estate.outputs["ports"].value, Value::list([8000_i64.into(), 8001_i64.into(), 8002_i64.into()]));
}

#[test]
fn a_reference_with_an_index_is_a_dependency_on_one_instance() {
    let text = r#"
        environment "test" {}
        locals { all = instance.sample.db }
        instance "sample" "db" {
          for_each    = toset(["a", "b"])
          environment = environment.test
          version     = "1.0.0"
          root        = "/srv/db/${each.key}"
        }
        instance "sample" "app" {
          for_each    = toset(["a", "b"])
          environment = environment.test
          version     = "1.0.0"
          root        = "/srv/app/${each.key}"
          greeting    = instance.sample.db[each.key].address
        }
        instance "sample" "one" {
          environment = environment.test
          version     = "1.0.0"
          root        = "/srv/one"
          depends_on  = [instance.sample.db["b"]]
        }
        instance "sample" "every" {
          environment = environment.test
          version     = "1.0.0"
          root        = "/srv/every"
          greeting    = join(",", keys(local.all))
        }
    "#;
    let estate = Case::new(&[("main.hcl", text)]).loaded().estate;
    let needs =
        |address: &str| estate.instances[address].depends_on.iter().map(|address| address.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(needs("sample.app[\"a\"]"), ["sample.db[\"a\"]"]);
    assert_eq!(needs("sample.one"), ["sample.db[\"b\"]"]);
    assert_eq!(needs("sample.every"), ["sample.db[\"a\"]", "sample.db[\"b\"]"]);
}

#[test]
fn a_long_chain_of_locals_does_not_exhaust_the_stack() {
    let mut text = String::from("locals {\n  l0 = 1\n");
    for index in 1..20_000 {
        text.push_str(&format!("  l{index} = local.l{} + 1\n", index - 1));
    }
    text.push_str("}\noutput \"end\" { value = local.l19999 }\n");
    assert_eq!(Case::new(&[("main.hcl", &text)]).loaded().estate.outputs["end"].value, 20_000_i64.into());
}

#[test]
fn the_digest_follows_the_files_and_not_the_secrets() {
    let main =
        "variable \"secret\" { sensitive = true }\nvariable \"open\" {}\nlocals { text = file(\"${path.module}/note.txt\") }\n";
    let digest = |note: &str, secret: &str, open: &str| {
        let mut case = Case::new(&[("main.hcl", main), ("note.txt", note)]);
        case.env.insert("WINDLASS_VAR_secret".into(), secret.into());
        case.env.insert("WINDLASS_VAR_open".into(), open.into());
        case.loaded().estate.digest.unwrap()
    };
    let first = digest("n", "one", "o");
    assert_eq!(first, digest("n", "two", "o"));
    assert_ne!(first, digest("n", "one", "p"));
    assert_ne!(first, digest("m", "one", "o"));
}

#[test]
fn the_digest_does_not_follow_secrets_in_files_nor_the_place() {
    let digest = |root: &str, secret: &str| {
        let main = "variable \"secret\" { sensitive = true }\nmodule \"m\" { source = \"./m\" }\n";
        let values = format!("secret = \"{secret}\"\n");
        let at = |name: &str| format!("{root}/{name}");
        let files = [(at("main.hcl"), main), (at("windlass.vars.hcl"), values.as_str()), (at("m/main.hcl"), "locals { x = 1 }\n")];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let mut case = Case::new(&files);
        case.root = root.into();
        let relative = case.loaded().estate.digest.unwrap();
        case.root = case.dir.path().join(root);
        assert_eq!(case.loaded().estate.digest.unwrap(), relative);
        relative
    };
    assert_eq!(digest(".", "one"), digest("some/folder", "two"));
}

#[test]
fn a_setting_of_null_takes_its_default() {
    let estate = Case::new(&[("main.hcl", &sample("greeting = null"))]).loaded().estate;
    assert_eq!(text(&estate.instances["sample.a"].settings["greeting"]), "hello from a");
}

#[test]
fn a_sensitive_output_must_say_so() {
    let text = sample("token = \"t-o-k-e-n\"");
    let told = problems(&format!("{text}output \"t\" {{ value = instance.sample.a.settings.token }}"));
    assert!(told.contains("sensitive output: output `t` is derived from something sensitive"), "{told}");
    assert!(!told.contains("t-o-k-e-n"));
}
