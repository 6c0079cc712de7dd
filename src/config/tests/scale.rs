//! Large configurations: that they load at all, and that nothing is looked at all too often.

use super::Case;

#[test]
fn ten_thousand_blocks_and_ten_thousand_keys_load_alike() {
    let mut blocks = String::from("environment \"test\" {}\n");
    for index in 0..10_000 {
        blocks.push_str(&format!(
            "instance \"sample\" \"i{index}\" {{\n  environment = environment.test\n  version = \"1.0.0\"\n  root = \"/srv/{index}\"\n  port = 1 + {index}\n}}\n"
        ));
    }
    let blocks = Case::new(&[("main.hcl", &blocks)]).loaded().estate;
    let keys = "environment \"test\" {}\ninstance \"sample\" \"i\" {\n  for_each = { for i in range(10000) : \"${i}\" => i }\n  environment = environment.test\n  version = \"1.0.0\"\n  root = \"/srv/${each.key}\"\n  port = 1 + each.value\n}\ninstance \"sample\" \"app\" {\n  for_each = { for i in range(10000) : \"${i}\" => i }\n  environment = environment.test\n  version = \"1.0.0\"\n  root = instance.sample.i[each.key].settings.root\n}\n";
    let keys = Case::new(&[("main.hcl", keys)]).loaded().estate;
    assert_eq!(blocks.instances.len(), 10_000);
    assert_eq!(keys.instances.len(), 20_000);
    assert_eq!(blocks.instances["sample.i77"].settings["root"], keys.instances["sample.i[\"77\"]"].settings["root"]);
    assert!(keys.instances.values().all(|instance| instance.depends_on.len() <= 1));
    assert_eq!(keys.instances["sample.app[\"9\"]"].depends_on[0].as_str(), "sample.i[\"9\"]");
}
