//! Functions on time. The clock stands still for a whole plan: `timestamp()` is when planning began.

use super::date::{Moment, duration};
use super::{Function, Kind, Param, Run, args, limit, param};
use crate::lang::Value;

const fn time(
    name: &'static str,
    params: &'static [Param],
    say: &'static str,
    example: (&'static str, &'static str),
    run: Run,
) -> Function {
    Function::new("time", name, params, say, example, run)
}

pub(super) static FORMATDATE: Function = time(
    "formatdate",
    &[param("format", Kind::String), param("timestamp", Kind::String)],
    "Writes a time by a format: YYYY MM DD hh mm ss, MMM, EEE, HH AA, Z and ZZZZ, 'quoted text'.",
    (r#"formatdate("DD MMM YYYY hh:mm ZZZ", "2026-01-31T12:30:00Z")"#, r#""31 Jan 2026 12:30 UTC""#),
    |_, given| limit::text(Moment::parse(args::text(given, 1, "timestamp")?)?.format(args::text(given, 0, "format")?)?),
);

pub(super) static PLANTIMESTAMP: Function = time(
    "plantimestamp",
    &[],
    "Gives the time of the plan, as `timestamp` does.",
    ("plantimestamp() == timestamp()", "true"),
    |env, _| Ok(Moment::utc(env.now).text().into()),
);

pub(super) static TIMEADD: Function = time(
    "timeadd",
    &[param("timestamp", Kind::String), param("duration", Kind::String)],
    "Adds a length of time (\"1h30m\", \"10d\", \"-90s\") to a time.",
    (r#"timeadd("2026-01-31T12:00:00Z", "1h30m")"#, r#""2026-01-31T13:30:00Z""#),
    |_, given| {
        let moment = Moment::parse(args::text(given, 0, "timestamp")?)?;
        Ok(moment.after(duration(args::text(given, 1, "duration")?)?)?.text().into())
    },
);

pub(super) static TIMECMP: Function = time(
    "timecmp",
    &[param("a", Kind::String), param("b", Kind::String)],
    "Gives -1, 0 or 1: whether a time is before, at or after another.",
    (r#"timecmp("2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00")"#, "0"),
    |_, given| {
        let (left, right) = (Moment::parse(args::text(given, 0, "a")?)?, Moment::parse(args::text(given, 1, "b")?)?);
        Ok(Value::from(left.instant.cmp(&right.instant) as i64))
    },
);

pub(super) static TIMESTAMP: Function = time(
    "timestamp",
    &[],
    "Gives the time of the plan in RFC 3339 and UTC: the same for every call.",
    (r#"timecmp(timestamp(), timestamp())"#, "0"),
    |env, _| Ok(Moment::utc(env.now).text().into()),
);

#[cfg(test)]
mod tests {
    use crate::lang::function::tests::{call, fails, number};

    #[test]
    fn the_clock_is_the_environments() {
        assert_eq!(call("timestamp", []), "1970-01-01T00:00:00Z".into());
        assert_eq!(call("plantimestamp", []), "1970-01-01T00:00:00Z".into());
    }

    #[test]
    fn times_are_compared_as_moments() {
        assert_eq!(call("timecmp", ["2026-01-31T12:00:00Z".into(), "2026-01-31T12:00:00+01:00".into()]), number("1"));
        assert_eq!(call("timecmp", ["2026-01-31T12:00:00Z".into(), "2026-01-31T12:00:00.001Z".into()]), number("-1"));
        assert!(fails("timecmp", ["now".into(), "".into()]).contains("RFC 3339"));
        assert!(fails("timeadd", ["2026-01-31T12:00:00Z".into(), "soon".into()]).contains("length of time"));
    }
}
