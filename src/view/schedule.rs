//! Schedules as systemd units and cron lines.

use std::fmt::Write as _;

use crate::model::name::InstanceAddr;

/// When an instance is backed up, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Which instance.
    pub instance: InstanceAddr,
    /// When: five fields that were read as a schedule.
    pub cron: String,
    /// The program's path.
    pub program: String,
    /// The configuration's folder.
    pub root: String,
}

impl Scheduled {
    fn name(&self) -> String {
        format!("windlass-backup-{}", self.instance.file_name())
    }
}

/// A service and a timer for each, with the names of their files.
#[must_use]
pub fn schedule_systemd(scheduled: &[Scheduled]) -> String {
    let mut text = String::new();
    for job in scheduled {
        let Scheduled { instance, cron, program, root } = job;
        let name = job.name();
        let command = [program.as_str(), "--no-input", "backup", "run", instance.as_str()].map(systemd_word).join(" ");
        let _ = writeln!(
            text,
            "# /etc/systemd/system/{name}.service\n[Unit]\nDescription=Backup of {instance}\nAfter=network-online.target\n\n\
             [Service]\nType=oneshot\nWorkingDirectory={}\nExecStart={command}\n",
            root.replace('%', "%%")
        );
        let _ = writeln!(text, "# /etc/systemd/system/{name}.timer\n[Unit]\nDescription=Backup of {instance} ({cron})\n\n[Timer]");
        for calendar in calendars(cron) {
            let _ = writeln!(text, "OnCalendar={calendar}");
        }
        let _ = writeln!(text, "Persistent=true\n\n[Install]\nWantedBy=timers.target\n");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A line for each.
#[must_use]
pub fn schedule_cron(scheduled: &[Scheduled]) -> String {
    let mut text = String::new();
    for Scheduled { instance, cron, program, root } in scheduled {
        let words = [program.as_str(), "--no-input", "--chdir", root.as_str(), "backup", "run", instance.as_str()];
        // A percent sign ends a command in a crontab.
        let _ = writeln!(text, "{cron} {}", words.map(shell_word).join(" ").replace('%', "\\%"));
    }
    text
}

fn systemd_word(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:@".contains(c));
    if plain {
        word.to_owned()
    } else {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$"))
    }
}

/// A word as a shell reads it.
pub(super) fn shell_word(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+=:@".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// A cron schedule as calendar expressions of systemd. Where both a day of the month and a day of the week are given, cron means
/// either, which takes two.
fn calendars(cron: &str) -> Vec<String> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return Vec::new() };
    let time = format!("{}:{}:00", numbers(hour, 2), numbers(minute, 2));
    let months = numbers(&named(month, &MONTHS), 2);
    let any = |field: &str| field == "*" || field == "?";
    let by_day = format!("*-{months}-{} {time}", numbers(day, 2));
    let by_weekday = format!("{} *-{months}-* {time}", weekdays(weekday));
    match (any(day), any(weekday)) {
        (_, true) => vec![by_day],
        (true, false) => vec![by_weekday],
        (false, false) => vec![by_day, by_weekday],
    }
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 8] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

fn named(field: &str, names: &[&str]) -> String {
    let mut field = field.to_ascii_uppercase();
    for (number, name) in names.iter().enumerate() {
        field = field.replace(name, &(number + 1).to_string());
    }
    field
}

/// Numbers, ranges and steps as systemd writes them: `1-5` is `01..05`, `*/15` is `00/15`.
fn numbers(field: &str, width: usize) -> String {
    let number = |text: &str| text.parse::<u32>().map_or_else(|_| text.to_owned(), |number| format!("{number:0width$}"));
    let range =
        |text: &str| text.split_once('-').map_or_else(|| number(text), |(from, to)| format!("{}..{}", number(from), number(to)));
    let part = |part: &str| match part.split_once('/') {
        Some(("*", step)) => format!("{:0width$}/{step}", 0),
        Some((from, step)) => format!("{}/{step}", range(from)),
        None if part == "?" => "*".to_owned(),
        None => range(part),
    };
    field.split(',').map(part).collect::<Vec<_>>().join(",")
}

/// Days of the week, each by its name: systemd takes ranges, but none that passes Sunday.
fn weekdays(field: &str) -> String {
    let day = |text: &str| -> Option<usize> {
        let upper = text.to_ascii_uppercase();
        text.parse().ok().or_else(|| DAYS.iter().position(|name| upper.starts_with(&name.to_ascii_uppercase())))
    };
    let mut all: Vec<usize> = Vec::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, 1), |(range, step)| (range, step.parse().unwrap_or(1)));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (0, 6),
            Some((from, to)) => (day(from).unwrap_or(0), day(to).unwrap_or(6)),
            None => (day(range).unwrap_or(0), day(range).unwrap_or(0)),
        };
        let to = if to < from { to + 7 } else { to };
        all.extend((from..=to).step_by(step.max(1)).map(|day| day % 7));
    }
    // From Monday on.
    all.sort_by_key(|day| (day + 6) % 7);
    all.dedup();
    all.into_iter().map(|day| DAYS[day]).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_becomes_calendar_expressions() {
        for (cron, expected) in [
            ("15 6 * * 1-5", &["Mon,Tue,Wed,Thu,Fri *-*-* 06:15:00"][..]),
            ("0 22 * * FRI", &["Fri *-*-* 22:00:00"]),
            ("*/15 * * * *", &["*-*-* *:00/15:00"]),
            ("5 1-3,23 1 jan,JUL *", &["*-01,07-01 01..03,23:05:00"]),
            ("0 0 13 * 5", &["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]),
            ("0 4 * * 0", &["Sun *-*-* 04:00:00"]),
            ("0 4 * * 7", &["Sun *-*-* 04:00:00"]),
            ("0 4 * * sat-mon", &["Mon,Sat,Sun *-*-* 04:00:00"]),
            ("30 10-20/5 * * *", &["*-*-* 10..20/5:30:00"]),
        ] {
            assert_eq!(calendars(cron), expected, "{cron}");
        }
    }

    fn job(root: &str) -> Scheduled {
        Scheduled {
            instance: InstanceAddr::from_text("dss.node[\"a b\"]"),
            cron: "15 6 * * 1-5".to_owned(),
            program: "/usr/bin/windlass".to_owned(),
            root: root.to_owned(),
        }
    }

    #[test]
    fn a_crontab_line_survives_blanks_quotes_and_percent_signs() {
        assert_eq!(
            schedule_cron(&[job("/srv/a'b 50%")]),
            "15 6 * * 1-5 /usr/bin/windlass --no-input --chdir '/srv/a'\\''b 50\\%' backup run 'dss.node[\"a b\"]'\n"
        );
    }

    #[test]
    fn units_name_their_files_and_run_one_command() {
        let text = schedule_systemd(&[job("/srv/estate")]);
        assert!(text.contains("ExecStart=/usr/bin/windlass --no-input backup run \"dss.node[\\\"a b\\\"]\"\n"), "{text}");
        assert!(text.contains("WorkingDirectory=/srv/estate\n") && text.contains("Persistent=true"), "{text}");
        assert_eq!(text.matches("# /etc/systemd/system/windlass-backup-").count(), 2);
    }
}
