//! A plan as a page, in a real browser: what is visible, what can be reached by keyboard, what a screen reader is told.
//!
//! The browser is Chromium without a screen; it runs where `WINDLASS_TEST_ALL` is set, as `tests/run` does. A second page holds the
//! first in a frame, does what a reader does, and writes down what it finds.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::estate::{Estate, SECRET};

const PROVIDER: &str = r#"provider "shop" {
  version = "1.0.0"
  title   = "Shop"
}
setting "root" {
  type     = string
  required = true
}
setting "greeting" {
  type    = string
  default = "hello"
}
setting "token" {
  type      = string
  sensitive = true
  default   = "nothing"
}
fact "version" {
  file {
    path     = "${self.root}/version"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}
route "install" {
  movement = "install"
  strategy = "move"
  risk     = 20
}
note "users" {
  movements = ["install"]
  text      = "Tell the users of <b>the shop</b>"
  url       = "https://example.org/shop"
  follow_up = true
}
strategy "move" {
  step "fetch" {
    title = "Fetch the archive"
    exec {
      command = ["sh", "-c", "echo 'an archive'"]
    }
    harmless = true
    estimate = "4m"
  }
  step "stop" {
    title = "Stop the shop"
    exec {
      command = ["sh", "-c", "echo stopped"]
    }
    undo {
      exec {
        command = ["sh", "-c", "echo started"]
      }
    }
    downtime = true
    estimate = "30s"
  }
  step "configure" {
    title = "Write the configuration"
    file {
      action  = "write"
      path    = "${self.root}/shop.conf"
      content = "greeting = ${self.greeting}\n"
    }
    undo {
      file {
        action = "restore"
        saved  = step.configure.result.saved
      }
    }
    downtime   = true
    repeatable = true
  }
  step "migrate" {
    title = "Migrate the database"
    exec {
      command = ["sh", "-c", "echo migrated"]
      secrets = { TOKEN = self.token }
    }
    irreversible = true
    downtime     = true
    estimate     = "2m"
  }
  step "start" {
    title = "Start the shop"
    file {
      action  = "write"
      path    = "${self.root}/version"
      content = to.text
    }
    undo {
      file {
        action = "restore"
        saved  = step.start.result.saved
      }
    }
    repeatable = true
    downtime   = true
    estimate   = "20s"
  }
}
"#;

/// A shop behind another.
fn estate() -> Estate {
    let mut estate = Estate::empty();
    estate.write("providers/shop/provider.hcl", PROVIDER);
    estate.write(
        "main.hcl",
        r#"variable "home" {
  type = string
}
variable "token" {
  type      = string
  sensitive = true
}
environment "test" {}
instance "shop" "back" {
  environment = environment.test
  version     = "1.0.0"
  root        = "${var.home}/back"
  token       = var.token
}
instance "shop" "front" {
  environment = environment.test
  version     = "1.0.0"
  root        = "${var.home}/front"
  greeting    = "good <i>day</i>"
  depends_on  = [instance.shop.back]
}
"#,
    );
    for folder in ["back", "front"] {
        estate.write(&format!("{folder}/shop.conf"), "greeting = old\n");
    }
    let home = estate.root.display().to_string();
    estate.set("home", &home);
    estate.set("token", SECRET);
    estate
}

/// Chromium, or nothing where the tester does not want real software.
fn browser() -> Option<&'static str> {
    if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to look at pages in Chromium");
        return None;
    }
    Some("chromium")
}

/// Runs Chromium with a profile of its own; gives what it prints, and what pages complained of.
fn chromium(estate: &Estate, program: &str, args: &[&str], page: &Path) -> (String, Vec<String>) {
    let output = Command::new("timeout")
        .args(["120", program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"])
        .args(["--disable-dev-shm-usage", "--disable-extensions", "--disable-component-update", "--enable-logging=stderr"])
        .args(["--allow-file-access-from-files", "--virtual-time-budget=8000", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", estate.path("profile").display()))
        .args(args)
        .arg(format!("file://{}", page.display()))
        .env("HOME", &estate.root)
        .output()
        .expect("timeout can be run");
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "chromium ended with {}\n{talk}", output.status);
    let complaints = talk.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    (String::from_utf8_lossy(&output.stdout).into_owned(), complaints)
}

/// What a script finds that runs beside the page: `page` is its window, `doc` its document, `pause()` lets it work.
fn found(estate: &Estate, program: &str, args: &[&str], script: &str) -> Value {
    let holder = format!(
        r#"<!DOCTYPE html><meta charset="utf-8"><iframe id="page" src="plan.html" width="1100" height="900"></iframe><pre id="out"></pre>
<script>
const pause = () => new Promise((done) => setTimeout(done, 50));
document.getElementById("page").addEventListener("load", async (event) => {{
  const page = event.target.contentWindow;
  const doc = page.document;
  const all = (selector) => Array.from(doc.querySelectorAll(selector));
  const visible = (selector) => all(selector).filter((one) => one.checkVisibility()).length;
  let out;
  try {{
    out = await (async () => {{ {script} }})();
  }} catch (error) {{
    out = {{ error: String(error) }};
  }}
  document.getElementById("out").textContent = "FOUND" + encodeURIComponent(JSON.stringify(out)) + "END";
}});
</script>"#
    );
    estate.write("holder.html", holder);
    let (dom, complaints) = chromium(estate, program, &[args, &["--dump-dom"]].concat(), &estate.path("holder.html"));
    assert_eq!(complaints, Vec::<String>::new(), "the page breaks its own policy, or its script fails");
    let text =
        dom.split_once("<pre id=\"out\">FOUND").and_then(|(_, rest)| rest.split_once("END")).expect("the script came to an end").0;
    let text = percent_decoded(text);
    let found: Value = serde_json::from_str(&text).expect("it writes JSON");
    assert!(found.get("error").is_none(), "{found:#}");
    found
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()).expect("two hexadecimal digits"));
        rest = after.get(2..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_page_is_one_file_that_asks_for_nothing_and_knows_no_secret() {
    let estate = estate();
    let page = estate.good(&["plan", "--format", "html"]).out;
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "{page}");
    for loaded in [" src=", "@import", "url(http", "<link", "<img", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(loaded), "the page has `{loaded}`");
    }
    assert!(!page.contains(SECRET));
    assert!(!page.contains("<b>the shop</b>") && !page.contains("<i>day</i>"), "what comes from outside is escaped");
    for part in ["Point of no return", "about 5 min 40 s", "20 of 100", "sh -c &#x27;echo migrated&#x27;", "+greeting = hello"] {
        assert!(page.contains(part), "{part} is not on the page");
    }
    estate.good(&["plan", "--out", "shop.plan"]);
    let saved = estate.good(&["show", "shop.plan", "--format", "html"]).out;
    assert!(saved.contains("a saved plan has none") && !saved.contains("+greeting"), "{saved}");
    estate.run(&["show", "shop.back", "--format", "html"]).exit(1);
}

#[test]
fn a_reviewer_sees_the_picture_finds_an_action_and_reads_what_it_does() {
    let Some(program) = browser() else { return };
    let estate = estate();
    estate.write("plan.html", estate.good(&["plan", "--format", "html"]).out);
    let found = found(
        &estate,
        program,
        &[],
        r##"
        const out = {};
        out.loaded = page.performance.getEntriesByType("resource").length;
        out.boxes = visible("#picture svg a");
        out.arrows = visible("#picture svg path.edge");
        out.windows = visible("#timeline rect.window");
        out.actions = visible("li.step");
        out.inside = visible("li.step .inside");
        const overlap = (one, other) => {
          const [a, b] = [one, other].map((box) => box.querySelector("rect").getBoundingClientRect());
          return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        };
        const boxes = all("#picture svg a");
        out.overlaps = boxes.filter((one, at) => boxes.slice(at + 1).some((other) => overlap(one, other))).length;
        out.spilled = boxes.filter((box) => Array.from(box.querySelectorAll("text")).some((text) =>
          text.getBoundingClientRect().right > box.querySelector("rect").getBoundingClientRect().right)).length;
        const search = doc.querySelector("#search");
        search.value = "migrat front";
        search.dispatchEvent(new page.Event("input"));
        await pause();
        out.matches = visible("li.step");
        out.said = doc.querySelector("#found").textContent;
        out.dimmed = all("#picture svg a.dim").length;
        const link = boxes.find((box) => box.getAttribute("aria-label").startsWith("Stop the shop, shop.back"));
        page.location.hash = link.getAttribute("href");
        await pause();
        await pause();
        const step = doc.activeElement.closest("li.step");
        out.cleared = search.value;
        out.title = step && step.querySelector(".title").textContent;
        out.command = step && step.querySelector(".inside td pre").textContent;
        out.open = visible("li.step .inside");
        doc.querySelector("#open").click();
        await pause();
        out.all = visible("li.step .inside");
        out.diff = all("pre.diff .add").map((line) => line.textContent);
        return out;
        "##,
    );
    assert_eq!(found["loaded"], 0, "{found:#}");
    // Five steps and a record for each of two shops, one after the other.
    assert_eq!((&found["boxes"], &found["arrows"], &found["actions"]), (&12.into(), &11.into(), &12.into()), "{found:#}");
    assert_eq!((&found["overlaps"], &found["spilled"]), (&0.into(), &0.into()), "{found:#}");
    assert_eq!((&found["windows"], &found["inside"]), (&2.into(), &0.into()), "{found:#}");
    assert_eq!((&found["matches"], &found["said"], &found["dimmed"]), (&1.into(), &"1 of 12 actions".into(), &11.into()));
    assert_eq!((&found["title"], &found["open"], &found["cleared"]), (&"Stop the shop".into(), &1.into(), &"".into()), "{found:#}");
    assert_eq!(found["command"], "sh -c 'echo stopped'");
    assert_eq!(found["all"], 12);
    assert_eq!(found["diff"], serde_json::json!(["+greeting = hello", "+1.0.0", "+greeting = good <i>day</i>", "+1.0.0"]));
}

#[test]
fn a_page_can_be_read_without_a_mouse_without_eyes_and_in_the_dark() {
    let Some(program) = browser() else { return };
    let estate = estate();
    estate.write("plan.html", estate.good(&["plan", "--format", "html"]).out);
    let script = r##"
        const out = {};
        all("details").forEach((one) => { one.open = true; });
        out.dark = page.matchMedia("(prefers-color-scheme: dark)").matches;
        out.ids = all("[id]").length - new Set(all("[id]").map((one) => one.id)).size;
        out.dead = all("a[href^='#']").filter((link) => !doc.getElementById(link.getAttribute("href").slice(1))).length;
        out.landmarks = ["header", "nav", "main", "footer", "h1"].map((name) => all(name).length);
        let level = 0;
        out.skipped = all("h1, h2, h3, h4, h5").filter((head) => {
          const own = Number(head.tagName[1]);
          const skips = own > level + 1;
          level = own;
          return skips;
        }).length;
        out.unnamed = all("svg, svg a, button, input, [role=region], nav, section, article").filter((one) => {
          const label = one.getAttribute("aria-label") || one.textContent.trim() || doc.querySelector(`label[for="${one.id}"]`);
          return !label;
        }).length;
        out.first = all("a, button, input, summary")[0].getAttribute("href");
        const stuck = all(".picture, .scroll, pre").filter((one) => one.scrollWidth > one.clientWidth && one.tabIndex < 0);
        out.stuck = stuck.length;
        // How far text stands out, as WCAG reckons it.
        const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        const parsed = (colour) => colour.match(/[\d.]+/g).map(Number);
        const light = (colour) => {
          const [r, g, b] = parsed(colour).map(channel);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (one) => {
          for (; one; one = one.parentElement) {
            const colour = page.getComputedStyle(one).backgroundColor;
            const parts = parsed(colour);
            if (parts.length === 3 || parts[3] > 0) return colour;
          }
          return "rgb(255, 255, 255)";
        };
        const contrast = (text, behind) => {
          const [high, low] = [light(text), light(behind)].sort((a, b) => b - a);
          return (high + 0.05) / (low + 0.05);
        };
        const texts = all("body *:not(svg *)").filter((one) => one.checkVisibility()
          && Array.from(one.childNodes).some((node) => node.nodeType === 3 && node.textContent.trim()));
        out.texts = texts.length;
        out.faint = texts.filter((one) => contrast(page.getComputedStyle(one).color, ground(one)) < 4.5).map((one) => one.outerHTML);
        const boxes = all("#picture svg a").flatMap((box) => Array.from(box.querySelectorAll("text")).map((text) =>
          contrast(page.getComputedStyle(text).fill, page.getComputedStyle(box.querySelector("rect")).fill)));
        out.boxes = boxes.filter((one) => one < 4.5).length;
        return out;
        "##;
    for (dark, args) in
        [(false, &["--blink-settings=preferredColorScheme=1"]), (true, &["--blink-settings=preferredColorScheme=0"])]
    {
        let found = found(&estate, program, args, script);
        assert_eq!(found["dark"], dark, "{found:#}");
        assert!(found["texts"].as_u64().is_some_and(|texts| texts > 100), "{found:#}");
        assert_eq!((&found["faint"], &found["boxes"]), (&serde_json::json!([]), &0.into()), "dark: {dark} {found:#}");
        for none in ["ids", "dead", "skipped", "unnamed", "stuck"] {
            assert_eq!(found[none], 0, "{none}: {found:#}");
        }
        assert_eq!(found["landmarks"], serde_json::json!([1, 1, 1, 1, 1]), "{found:#}");
        assert_eq!(found["first"], "#main", "the first thing that a key reaches skips to the plan");
    }
}

#[test]
fn a_plan_that_is_too_large_for_a_picture_is_a_table() {
    let Some(program) = browser() else { return };
    let estate = estate();
    let main = estate.read("main.hcl");
    let many = main.replace(
        "instance \"shop\" \"front\" {\n",
        "instance \"shop\" \"front\" {\n  for_each    = toset([for i in range(60) : \"k${i}\"])\n",
    );
    assert_ne!(many, main);
    estate.write("main.hcl", many.replace("${var.home}/front", "${var.home}/front/${each.key}"));
    estate.write("plan.html", estate.good(&["plan", "--format", "html"]).out);
    let found = found(
        &estate,
        program,
        &[],
        r##"return { boxes: all("#picture").length, waves: visible("#graph tbody tr"), actions: visible("#graph tbody li"), lanes: all("#timeline svg a").length };"##,
    );
    assert_eq!((&found["boxes"], &found["waves"], &found["actions"]), (&0.into(), &12.into(), &366.into()), "{found:#}");
    assert_eq!(found["lanes"], 61);
}
