//! `format` and `formatlist`: text from a template with verbs, as in Go and Terraform.
//!
//! A verb is `%[flags][width][.precision][[n]]letter`. Flags: `-` left, `0` zeros, `+` and space for the sign, `#` with `v` for JSON.

use std::iter::Peekable;
use std::str::Chars;

use super::limit::Text;
use super::{Answer, Env, Function, Kind, args, convert, encode, format_number, limit, param};
use crate::lang::{Number, Value};

pub(super) static FORMAT: Function = Function::new(
    "string",
    "format",
    &[param("format", Kind::String)],
    "Writes values into a text with verbs: %s text, %d whole number, %f and %.2f decimals, %e %g exponent, %x %X %o %b base, %t bool, %q quoted, %v anything, %#v JSON, %% itself.",
    (r#"format("%s-%03d is %.1f%%", "a", 7, 99.5)"#, r#""a-007 is 99.5%""#),
    |_, given| limit::text(format(args::text(given, 0, "format")?, given.get(1..).unwrap_or_default())?),
)
.rest(param("values", Kind::Any));

pub(super) static FORMATLIST: Function = Function::new(
    "string",
    "formatlist",
    &[param("format", Kind::String)],
    "Does what `format` does, once for every item of the lists among its arguments.",
    (r#"formatlist("%s:%d", ["a", "b"], 80)"#, r#"["a:80", "b:80"]"#),
    formatlist,
)
.rest(param("values", Kind::Any));

fn formatlist(_: &Env<'_>, given: &[Value]) -> Answer {
    let template = args::text(given, 0, "format")?;
    let values = given.get(1..).unwrap_or_default();
    let mut lengths = values.iter().filter_map(Value::as_list).map(<[Value]>::len);
    let length = lengths.next().unwrap_or(1);
    if let Some(other) = lengths.find(|other| *other != length) {
        return Err(format!("the lists must be equally long, and have {length} and {other} items"));
    }
    let (mut all, mut bytes) = (Vec::new(), 0);
    for row in 0..length {
        let cells: Vec<Value> =
            values.iter().map(|value| value.as_list().map_or_else(|| value.clone(), |items| items[row].clone())).collect();
        let text = format(template, &cells)?;
        bytes += text.len();
        if bytes > limit::TEXT {
            return Err(limit::text_error());
        }
        limit::push(&mut all, text.into())?;
    }
    Ok(Value::list(all))
}

/// What stands between `%` and the letter.
#[derive(Debug, Default)]
struct Verb {
    left: bool,
    zeros: bool,
    plus: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
    index: Option<usize>,
    letter: char,
}

fn format(template: &str, values: &[Value]) -> Result<String, String> {
    let mut text = Text::default();
    let (mut next, mut used) = (0, 0);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        text.push(before)?;
        let mut letters = after.chars().peekable();
        let verb = parse(&mut letters)?;
        rest = &after[after.len() - letters.map(char::len_utf8).sum::<usize>()..];
        if verb.letter == '%' {
            text.push("%")?;
            continue;
        }
        let at = match verb.index {
            Some(index) => index.checked_sub(1).ok_or("arguments count from 1: `%[0]` names none")?,
            None => next,
        };
        next = at.saturating_add(1);
        used = used.max(next);
        let value = values.get(at).ok_or_else(|| {
            format!(
                "verb %{} wants argument {}, and there are {} after the format",
                verb.letter,
                at.saturating_add(1),
                values.len()
            )
        })?;
        write(&verb, value, &mut text)?;
    }
    text.push(rest)?;
    if used < values.len() {
        return Err(format!("the format uses {used} of {} arguments", values.len()));
    }
    Ok(text.into_string())
}

fn parse(letters: &mut Peekable<Chars<'_>>) -> Result<Verb, String> {
    let mut verb = Verb::default();
    loop {
        match letters.peek() {
            Some('-') => verb.left = true,
            Some('0') => verb.zeros = true,
            Some('+') => verb.plus = true,
            Some(' ') => verb.space = true,
            Some('#') => verb.sharp = true,
            _ => break,
        }
        letters.next();
    }
    verb.index = index(letters)?;
    if let Some(width) = digits(letters)? {
        verb.width = width;
    }
    if letters.next_if_eq(&'.').is_some() {
        verb.precision = Some(digits(letters)?.unwrap_or(0));
    }
    if verb.index.is_none() {
        verb.index = index(letters)?;
    }
    match letters.next() {
        Some(letter) if "sdfFeEgGqvtxXob%".contains(letter) => verb.letter = letter,
        Some('*') => return Err("a width of `*` is not supported; write the width as a number".into()),
        Some(letter) => return Err(format!("there is no verb %{}; write %% for a percent sign", letter.escape_debug())),
        None => return Err("the format ends in the middle of a verb; write %% for a percent sign".into()),
    }
    Ok(verb)
}

fn index(letters: &mut Peekable<Chars<'_>>) -> Result<Option<usize>, String> {
    if letters.next_if_eq(&'[').is_none() {
        return Ok(None);
    }
    let number = digits(letters)?;
    if number.is_none() || letters.next_if_eq(&']').is_none() {
        return Err("an argument's number is written `%[1]s`".into());
    }
    Ok(number)
}

fn digits(letters: &mut Peekable<Chars<'_>>) -> Result<Option<usize>, String> {
    let mut number = None;
    while let Some(digit) = letters.next_if(char::is_ascii_digit).and_then(|letter| letter.to_digit(10)) {
        let longer = number.unwrap_or(0_usize) * 10 + digit as usize;
        if longer > 100_000 {
            return Err("a width, precision or argument number is above 100000".into());
        }
        number = Some(longer);
    }
    Ok(number)
}

fn write(verb: &Verb, value: &Value, text: &mut Text) -> Result<(), String> {
    let wants = |wanted: &str| format!("verb %{} wants {wanted}, not {}", verb.letter, value.kind());
    match verb.letter {
        'd' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G' | 'b' | 'o' => {
            let number = convert::number_of(value).ok_or_else(|| wants("a number"))?;
            write_number(verb, &number, text)
        }
        'x' | 'X' => match value {
            Value::String(content) => {
                let hex: String = content
                    .bytes()
                    .map(|byte| if verb.letter == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") })
                    .collect();
                pad(verb, &hex, text)
            }
            value => {
                let number = convert::number_of(value).ok_or_else(|| wants("a number or a string"))?;
                write_number(verb, &number, text)
            }
        },
        't' => {
            let truth = convert::bool_of(value).ok_or_else(|| wants("a bool"))?;
            pad(verb, if truth { "true" } else { "false" }, text)
        }
        's' | 'q' => {
            let content = convert::text_of(value).ok_or_else(|| wants("a string"))?;
            let cut = cut(verb, &content);
            if verb.letter == 'q' { pad(verb, &encode::json(&cut.into())?, text) } else { pad(verb, cut, text) }
        }
        _ if verb.sharp => pad(verb, &encode::json(value)?, text),
        _ => match value {
            Value::Number(number) => {
                let plain = convert::number_text(&number.abs());
                signed(verb, number, &plain, text)
            }
            value => match convert::text_of(value) {
                Some(content) => pad(verb, cut(verb, &content), text),
                None => pad(verb, &encode::json(value)?, text),
            },
        },
    }
}

/// The first characters, as many as the precision says.
fn cut<'a>(verb: &Verb, content: &'a str) -> &'a str {
    let end = verb.precision.and_then(|precision| content.char_indices().nth(precision));
    end.map_or(content, |(end, _)| &content[..end])
}

fn write_number(verb: &Verb, number: &Number, text: &mut Text) -> Result<(), String> {
    let digits = match verb.letter {
        'f' | 'F' => format_number::fixed(number, verb.precision.unwrap_or(6)),
        'e' | 'E' => format_number::exponent(number, Some(verb.precision.unwrap_or(6))),
        'g' | 'G' => format_number::general(number, verb.precision),
        letter => format_number::whole(number, letter)
            .ok_or_else(|| format!("verb %{letter} wants a whole number, not {}", convert::number_text(number)))?,
    };
    let digits = if verb.letter.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
    signed(verb, number, &digits, text)
}

/// Puts the sign, and zeros between it and the digits.
fn signed(verb: &Verb, number: &Number, digits: &str, text: &mut Text) -> Result<(), String> {
    let sign = if number.is_sign_negative() && !number.is_zero() {
        "-"
    } else if verb.plus {
        "+"
    } else if verb.space {
        " "
    } else {
        ""
    };
    if verb.zeros && !verb.left {
        text.push(sign)?;
        text.fill('0', verb.width.saturating_sub(sign.len() + digits.len()))?;
        return text.push(digits);
    }
    pad(verb, &format!("{sign}{digits}"), text)
}

fn pad(verb: &Verb, content: &str, text: &mut Text) -> Result<(), String> {
    let missing = if verb.width == 0 { 0 } else { verb.width.saturating_sub(content.chars().count()) };
    if !verb.left {
        text.fill(if verb.zeros { '0' } else { ' ' }, missing)?;
    }
    text.push(content)?;
    if verb.left { text.fill(' ', missing) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::format;
    use crate::lang::Value;
    use crate::lang::function::tests::{call, fails, number};
    use proptest::prelude::*;

    #[test]
    fn every_verb_writes_what_go_writes() {
        for (template, value, wanted) in [
            ("%d", number("-42"), "-42"),
            ("%5d|", number("42"), "   42|"),
            ("%-5d|", number("42"), "42   |"),
            ("%05d", number("-42"), "-0042"),
            ("%+d", number("42"), "+42"),
            ("% d", number("42"), " 42"),
            ("%d", "7".into(), "7"),
            ("%x", number("-255"), "-ff"),
            ("%X", "hi".into(), "6869"),
            ("%o", number("8"), "10"),
            ("%b", number("5"), "101"),
            ("%f", number("3.14159265"), "3.141593"),
            ("%8.2f|", number("3.14159"), "    3.14|"),
            ("%.0f", number("2.5"), "2"),
            ("%e", number("1234.5678"), "1.234568e+03"),
            ("%E", number("0"), "0.000000E+00"),
            ("%g", number("1000000"), "1e+06"),
            ("%G", number("1000000"), "1E+06"),
            ("%s", number("1.50"), "1.5"),
            ("%.2s", "héllo".into(), "hé"),
            ("%6s|", "é".into(), "     é|"),
            ("%-3s|", true.into(), "true|"),
            ("%q", "a\"b\n".into(), "\"a\\\"b\\n\""),
            ("%t", "true".into(), "true"),
            ("%v", number("1000000"), "1000000"),
            ("%v", Value::Null, "null"),
            ("%v", Value::list(["a".into(), number("1")]), "[\"a\",1]"),
            ("%#v", "a".into(), "\"a\""),
            ("%[1]s-%[1]s", "a".into(), "a-a"),
        ] {
            assert_eq!(format(template, std::slice::from_ref(&value)).as_deref(), Ok(wanted), "{template} {value:?}");
        }
    }

    #[test]
    fn after_an_index_counting_goes_on_from_there() {
        assert_eq!(call("format", ["%[2]s %s %[1]s".into(), "a".into(), "b".into(), "c".into()]), "b c a".into());
        assert_eq!(call("format", ["100%%".into()]), "100%".into());
    }

    #[test]
    fn a_wrong_template_says_what_is_wrong() {
        for (template, values, wanted) in [
            ("%d", vec![number("1.5")], "verb %d wants a whole number, not 1.5"),
            ("%d", vec!["x".into()], "verb %d wants a number, not string"),
            ("%s", vec![Value::Null], "verb %s wants a string, not null"),
            ("%s", vec![], "verb %s wants argument 1, and there are 0 after the format"),
            ("x", vec!["y".into()], "the format uses 0 of 1 arguments"),
            ("%", vec![], "the format ends in the middle of a verb; write %% for a percent sign"),
            ("%y", vec![], "there is no verb %y; write %% for a percent sign"),
            ("%*d", vec![], "a width of `*` is not supported; write the width as a number"),
            ("%[0]d", vec![number("1")], "arguments count from 1: `%[0]` names none"),
            ("%[x]d", vec![], "an argument's number is written `%[1]s`"),
            ("%999999999999999999999d", vec![], "a width, precision or argument number is above 100000"),
        ] {
            assert_eq!(format(template, &values).unwrap_err(), wanted, "{template}");
        }
    }

    #[test]
    fn widths_do_not_add_up_to_more_than_the_limit() {
        assert!(fails("format", ["%[1]100000s".repeat(200).into(), "a".into()]).contains("16 MiB"));
        let many = Value::list(vec!["a".into(); 1000]);
        assert!(fails("formatlist", ["%100000s".into(), many]).contains("16 MiB"));
    }

    #[test]
    fn formatlist_repeats_what_is_no_list() {
        assert_eq!(call("formatlist", ["x".into()]), Value::list(["x".into()]));
        assert_eq!(call("formatlist", ["%s".into(), Value::list([])]), Value::list([]));
        let unequal = [Value::list(["a".into()]), Value::list([])];
        assert!(fails("formatlist", ["%s%s".into(), unequal[0].clone(), unequal[1].clone()]).contains("1 and 0"));
    }

    proptest! {
        #[test]
        fn no_template_panics(template in "[-%+# 0-9.\\[\\]sdfegqvtxXobé]{0,24}", mantissa in any::<i64>(), scale in 0_u32..=28) {
            let value = Value::Number(rust_decimal::Decimal::new(mantissa, scale));
            let _ = format(&template, &[value, "text".into(), true.into()]);
        }
    }
}
