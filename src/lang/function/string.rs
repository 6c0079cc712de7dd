//! Functions on text. Positions and lengths count characters (Unicode scalar values), where Terraform counts grapheme clusters:
//! the two differ for combined characters only.

use super::limit::{self, Text};
use super::{Answer, Function, Kind, args, convert, param};
use crate::lang::Value;

const fn string(
    name: &'static str,
    params: &'static [super::Param],
    say: &'static str,
    example: (&'static str, &'static str),
    run: super::Run,
) -> Function {
    Function::new("string", name, params, say, example, run)
}

const ONE: &[super::Param] = &[param("string", Kind::String)];

pub(super) static CHOMP: Function =
    string("chomp", ONE, "Removes line ends from the end of a text.", (r#"chomp("hello\r\n")"#, r#""hello""#), |_, given| {
        Ok(args::text(given, 0, "string")?.trim_end_matches(['\n', '\r']).into())
    });

pub(super) static ENDSWITH: Function = string(
    "endswith",
    &[param("string", Kind::String), param("suffix", Kind::String)],
    "Tells whether a text ends with another.",
    (r#"endswith("main.hcl", ".hcl")"#, "true"),
    |_, given| Ok(args::text(given, 0, "string")?.ends_with(args::text(given, 1, "suffix")?).into()),
);

pub(super) static INDENT: Function = string(
    "indent",
    &[param("spaces", Kind::Number), param("string", Kind::String)],
    "Puts spaces before every line of a text but the first.",
    (r#"indent(2, "a:\nb")"#, r#""a:\n  b""#),
    |_, given| {
        let (spaces, text) = (args::count(given, 0, "spaces")?, args::text(given, 1, "string")?);
        let mut indented = Text::default();
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                indented.push("\n")?;
                indented.fill(' ', spaces)?;
            }
            indented.push(line)?;
        }
        indented.answer()
    },
);

pub(super) static JOIN: Function = string(
    "join",
    &[param("separator", Kind::String), param("list", Kind::List)],
    "Puts the items of lists together to one text, with a separator between them.",
    (r#"join(", ", ["a", "b"])"#, r#""a, b""#),
    join,
)
.rest(param("lists", Kind::List));

fn join(_: &super::Env<'_>, given: &[Value]) -> Answer {
    let separator = args::text(given, 0, "separator")?;
    args::list(given, 1, "list")?;
    let mut joined = Text::default();
    let mut first = true;
    for at in 1..given.len() {
        for item in args::list(given, at, if at == 1 { "list" } else { "lists" })? {
            if !std::mem::take(&mut first) {
                joined.push(separator)?;
            }
            let text = convert::text_of(item).ok_or_else(|| format!("an item to join must be a string, not {}", item.kind()))?;
            joined.push(&text)?;
        }
    }
    joined.answer()
}

pub(super) static LOWER: Function =
    string("lower", ONE, "Turns letters to lower case.", (r#"lower("PostgreSQL")"#, r#""postgresql""#), |_, given| {
        limit::text(args::text(given, 0, "string")?.to_lowercase())
    });

pub(super) static SPLIT: Function = string(
    "split",
    &[param("separator", Kind::String), param("string", Kind::String)],
    "Cuts a text at every separator; an empty separator cuts between characters.",
    (r#"split(".", "16.2")"#, r#"["16", "2"]"#),
    |_, given| {
        let (separator, text) = (args::text(given, 0, "separator")?, args::text(given, 1, "string")?);
        if separator.is_empty() {
            return limit::list(text.chars().map(|one| Value::string(one.encode_utf8(&mut [0; 4]))));
        }
        limit::list(text.split(separator).map(Value::from))
    },
);

pub(super) static STARTSWITH: Function = string(
    "startswith",
    &[param("string", Kind::String), param("prefix", Kind::String)],
    "Tells whether a text starts with another.",
    (r#"startswith("v1.2", "v")"#, "true"),
    |_, given| Ok(args::text(given, 0, "string")?.starts_with(args::text(given, 1, "prefix")?).into()),
);

pub(super) static STRCONTAINS: Function = string(
    "strcontains",
    &[param("string", Kind::String), param("substring", Kind::String)],
    "Tells whether a text stands in another.",
    (r#"strcontains("hello world", "wor")"#, "true"),
    |_, given| Ok(args::text(given, 0, "string")?.contains(args::text(given, 1, "substring")?).into()),
);

pub(super) static STRREV: Function =
    string("strrev", ONE, "Reverses the characters of a text.", (r#"strrev("abc")"#, r#""cba""#), |_, given| {
        Ok(args::text(given, 0, "string")?.chars().rev().collect::<String>().into())
    });

pub(super) static SUBSTR: Function = string(
    "substr",
    &[param("string", Kind::String), param("offset", Kind::Number), param("length", Kind::Number)],
    "Takes a part of a text; a negative offset counts from the end, the length -1 means all the rest.",
    (r#"substr("windlass", 4, 3)"#, r#""las""#),
    substr,
);

fn substr(_: &super::Env<'_>, given: &[Value]) -> Answer {
    let text = args::text(given, 0, "string")?;
    let (offset, length) = (args::whole(given, 1, "offset")?, args::whole(given, 2, "length")?);
    let skip = if offset >= 0 {
        usize::try_from(offset).unwrap_or(usize::MAX)
    } else {
        text.chars().count().saturating_sub(usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX))
    };
    let take = match length {
        -1 => usize::MAX,
        negative if negative < 0 => return Err(format!("argument \"length\" must be -1 or more, and is {negative}")),
        length => usize::try_from(length).unwrap_or(usize::MAX),
    };
    Ok(text.chars().skip(skip).take(take).collect::<String>().into())
}

pub(super) static TITLE: Function = string(
    "title",
    ONE,
    "Turns the first letter of every word to upper case.",
    (r#"title("hello world")"#, r#""Hello World""#),
    |_, given| {
        let mut titled = String::new();
        let mut starts = true;
        for letter in args::text(given, 0, "string")?.chars() {
            if starts {
                titled.extend(letter.to_uppercase());
            } else {
                titled.push(letter);
            }
            starts = !(letter.is_alphanumeric() || letter == '_');
        }
        limit::text(titled)
    },
);

pub(super) static TRIM: Function = string(
    "trim",
    &[param("string", Kind::String), param("characters", Kind::String)],
    "Removes characters of a set from both ends of a text.",
    (r#"trim("?!hello?!", "!?")"#, r#""hello""#),
    |_, given| {
        let (text, set) = (args::text(given, 0, "string")?, args::text(given, 1, "characters")?);
        Ok(text.trim_matches(|one| set.contains(one)).into())
    },
);

pub(super) static TRIMPREFIX: Function = string(
    "trimprefix",
    &[param("string", Kind::String), param("prefix", Kind::String)],
    "Removes a text from the start of another, once.",
    (r#"trimprefix("v1.2", "v")"#, r#""1.2""#),
    |_, given| {
        let text = args::text(given, 0, "string")?;
        Ok(text.strip_prefix(args::text(given, 1, "prefix")?).unwrap_or(text).into())
    },
);

pub(super) static TRIMSPACE: Function =
    string("trimspace", ONE, "Removes white space from both ends of a text.", (r#"trimspace("  a\n")"#, r#""a""#), |_, given| {
        Ok(args::text(given, 0, "string")?.trim().into())
    });

pub(super) static TRIMSUFFIX: Function = string(
    "trimsuffix",
    &[param("string", Kind::String), param("suffix", Kind::String)],
    "Removes a text from the end of another, once.",
    (r#"trimsuffix("main.hcl", ".hcl")"#, r#""main""#),
    |_, given| {
        let text = args::text(given, 0, "string")?;
        Ok(text.strip_suffix(args::text(given, 1, "suffix")?).unwrap_or(text).into())
    },
);

pub(super) static SHQUOTE: Function = string(
    "shquote",
    ONE,
    "Quotes a text so that a POSIX shell takes it as one word, whatever is in it.",
    (r#"shquote("it's")"#, r#""'it'\\''s'""#),
    |_, given| limit::text(shell_quoted(args::text(given, 0, "string")?)),
);

/// A text as one word of a POSIX shell.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub(super) static UPPER: Function =
    string("upper", ONE, "Turns letters to upper case.", (r#"upper("etcd")"#, r#""ETCD""#), |_, given| {
        limit::text(args::text(given, 0, "string")?.to_uppercase())
    });

#[cfg(test)]
mod tests {
    use crate::lang::Value;
    use crate::lang::function::tests::{call, fails, number};

    #[test]
    fn chomp_takes_line_ends_only() {
        assert_eq!(call("chomp", ["a \r\n\n".into()]), "a ".into());
    }

    #[test]
    fn join_takes_several_lists_and_converts() {
        let lists = [Value::list(["a".into(), number("1.50")]), Value::list([true.into()])];
        assert_eq!(call("join", ["-".into(), lists[0].clone(), lists[1].clone()]), "a-1.5-true".into());
        assert_eq!(call("join", ["-".into(), Value::list([])]), "".into());
        assert_eq!(fails("join", ["-".into(), Value::list([Value::Null])]), "an item to join must be a string, not null");
    }

    #[test]
    fn join_of_shared_texts_stops_at_the_limit() {
        let big = Value::from("x".repeat(1 << 20));
        assert!(fails("join", ["".into(), Value::list(vec![big; 1000])]).contains("16 MiB"));
    }

    #[test]
    fn indent_does_not_grow_without_bound() {
        assert!(fails("indent", [number("9000000000"), "a\nb".into()]).contains("16 MiB"));
        assert!(fails("indent", [number("-1"), "a".into()]).contains("must not be negative"));
    }

    #[test]
    fn split_of_nothing_is_one_empty_text() {
        assert_eq!(call("split", [",".into(), "".into()]), Value::list(["".into()]));
        assert_eq!(call("split", ["".into(), "aé".into()]), Value::list(["a".into(), "é".into()]));
        assert_eq!(call("split", ["".into(), "".into()]), Value::list([]));
    }

    #[test]
    fn substr_clamps_to_the_text() {
        for (offset, length, wanted) in
            [("-3", "-1", "rld"), ("3", "100", "ld"), ("99", "1", ""), ("-99", "2", "wo"), ("1", "0", "")]
        {
            assert_eq!(call("substr", ["world".into(), number(offset), number(length)]), wanted.into(), "{offset} {length}");
        }
        assert!(fails("substr", ["a".into(), number("0"), number("-2")]).contains("-1 or more"));
    }

    #[test]
    fn title_starts_words_after_anything_but_letters() {
        assert_eq!(call("title", ["a-b o'neil été_x".into()]), "A-B O'Neil Été_x".into());
    }
}
