//! Values as JSON and as YAML text.
//!
//! Numbers are written with all their digits. YAML is in Terraform's style: every name and text in double quotes, block collections,
//! texts of several lines as literal blocks. What is unknown or sensitive is refused: the evaluator never hands it over.

use super::convert;
use super::limit::Text;
use crate::lang::{Object, Value};

/// JSON without spaces, names sorted.
pub(super) fn json(value: &Value) -> Result<String, String> {
    let mut text = Text::default();
    write_json(value, &mut text)?;
    Ok(text.into_string())
}

fn write_json(value: &Value, text: &mut Text) -> Result<(), String> {
    match value {
        Value::List(items) => {
            text.push("[")?;
            for (index, item) in items.iter().enumerate() {
                text.push(if index > 0 { "," } else { "" })?;
                write_json(item, text)?;
            }
            text.push("]")
        }
        Value::Object(attributes) => {
            text.push("{")?;
            for (index, (name, item)) in attributes.iter().enumerate() {
                text.push(if index > 0 { "," } else { "" })?;
                text.push(&quoted(name)?)?;
                text.push(":")?;
                write_json(item, text)?;
            }
            text.push("}")
        }
        scalar => text.push(&scalar_text(scalar)?),
    }
}

fn scalar_text(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok("null".into()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(number) => Ok(convert::number_text(number)),
        Value::String(text) => quoted(text),
        Value::Unknown | Value::Sensitive(_) => Err("a value that is not known yet, or sensitive, cannot be written here".into()),
        // Only empty ones come here: the others are written item by item.
        Value::List(_) => Ok("[]".into()),
        Value::Object(_) => Ok("{}".into()),
    }
}

fn quoted(text: &str) -> Result<String, String> {
    let json = serde_json::to_string(text).map_err(|error| error.to_string())?;
    if !json.contains(special) {
        return Ok(json);
    }
    // Valid in JSON as they are, but no YAML reader has to take them.
    let escape = |one: char| if special(one) { format!("\\u{:04x}", u32::from(one)) } else { one.into() };
    Ok(json.chars().map(escape).collect())
}

fn special(one: char) -> bool {
    matches!(one, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// YAML, one document, names sorted.
pub(super) fn yaml(value: &Value) -> Result<String, String> {
    let mut text = Text::default();
    write_yaml(value, 0, &mut text)?;
    if !matches!(value, Value::List(items) if !items.is_empty())
        && !matches!(value, Value::Object(attributes) if !attributes.is_empty())
    {
        text.push("\n")?;
    }
    Ok(text.into_string())
}

/// Writes a value whose first line goes on where the text stands, and whose further lines are indented.
fn write_yaml(value: &Value, indent: usize, text: &mut Text) -> Result<(), String> {
    match value {
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                text.fill(' ', if index > 0 { indent } else { 0 })?;
                text.push("- ")?;
                write_item(item, indent + 2, text)?;
            }
            Ok(())
        }
        Value::Object(attributes) if !attributes.is_empty() => write_attributes(attributes, indent, text),
        Value::String(content) if is_block(content) => write_block(content, indent, text),
        scalar => text.push(&scalar_text(scalar)?),
    }
}

/// A value after `- `: collections stand on the same line, everything ends its line.
fn write_item(item: &Value, indent: usize, text: &mut Text) -> Result<(), String> {
    write_yaml(item, indent, text)?;
    if is_nested(item) { Ok(()) } else { text.push("\n") }
}

fn write_attributes(attributes: &Object, indent: usize, text: &mut Text) -> Result<(), String> {
    for (index, (name, value)) in attributes.iter().enumerate() {
        text.fill(' ', if index > 0 { indent } else { 0 })?;
        text.push(&quoted(name)?)?;
        text.push(":")?;
        if is_nested(value) {
            // Lists stand at the depth of their name, objects deeper: Terraform's way.
            let deeper = if matches!(value, Value::List(_)) { indent } else { indent + 2 };
            text.push("\n")?;
            text.fill(' ', deeper)?;
            write_yaml(value, deeper, text)?;
        } else {
            text.push(" ")?;
            write_yaml(value, indent + 2, text)?;
            text.push("\n")?;
        }
    }
    Ok(())
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::List(items) => !items.is_empty(),
        Value::Object(attributes) => !attributes.is_empty(),
        _ => false,
    }
}

/// Whether a text is written as a literal block: several lines, the first not indented, nothing that must be escaped.
fn is_block(text: &str) -> bool {
    let plain = |one: char| one == '\n' || one == '\t' || !(one.is_control() || special(one));
    text.trim_end_matches('\n').contains('\n') && !text.starts_with(char::is_whitespace) && text.chars().all(plain)
}

fn write_block(content: &str, indent: usize, text: &mut Text) -> Result<(), String> {
    let body = content.trim_end_matches('\n');
    let ends = content.len() - body.len();
    text.push(match ends {
        0 => "|-",
        1 => "|",
        _ => "|+",
    })?;
    for line in body.split('\n') {
        text.push("\n")?;
        text.fill(' ', if line.is_empty() { 0 } else { indent.max(2) })?;
        text.push(line)?;
    }
    // The caller ends the last line; `|+` keeps the others.
    text.fill('\n', ends.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::function::decode;
    use crate::lang::function::tests::{anything, number};
    use proptest::prelude::*;

    #[test]
    fn json_is_exact_and_sorted() {
        let value =
            Value::object([("b", number("79228162514264337593543950335")), ("a", Value::list([number("1.50"), Value::Null]))]);
        assert_eq!(json(&value).unwrap(), r#"{"a":[1.5,null],"b":79228162514264337593543950335}"#);
        assert_eq!(json(&"<é\u{1}\u{2028}>".into()).unwrap(), "\"<é\\u0001\\u2028>\"");
    }

    #[test]
    fn what_is_hidden_is_not_written() {
        assert!(json(&Value::Unknown).is_err());
        assert!(yaml(&Value::list([Value::from("secret").sensitive()])).is_err());
    }

    #[test]
    fn yaml_looks_as_terraform_writes_it() {
        let inner = Value::object([("a", "b".into()), ("c", "d".into())]);
        let value =
            Value::object([("foo", Value::list([number("1"), inner.clone(), number("3")])), ("bar", "baz".into()), ("x", inner)]);
        let wanted =
            "\"bar\": \"baz\"\n\"foo\":\n- 1\n- \"a\": \"b\"\n  \"c\": \"d\"\n- 3\n\"x\":\n  \"a\": \"b\"\n  \"c\": \"d\"\n";
        assert_eq!(yaml(&value).unwrap(), wanted);
        let nested = Value::list([Value::list([number("1"), number("2")]), Value::list([])]);
        assert_eq!(yaml(&nested).unwrap(), "- - 1\n  - 2\n- []\n");
        assert_eq!(yaml(&Value::object([("s", "#!/bin/sh\n  echo\n".into())])).unwrap(), "\"s\": |\n  #!/bin/sh\n    echo\n");
    }

    #[test]
    fn a_value_that_shares_itself_is_not_written_out_for_ever() {
        let mut value: Value = "x".into();
        for _ in 0..60 {
            value = Value::list([value.clone(), value]);
        }
        assert!(json(&value).unwrap_err().contains("16 MiB"));
        assert!(yaml(&value).unwrap_err().contains("16 MiB"));
    }

    #[test]
    fn texts_of_several_lines_come_back_as_they_were() {
        for text in [
            "a\nb",
            "a\nb\n",
            "a\nb\n\n\n",
            " a\nb",
            "a\n\n  b\n c",
            "\n",
            "a\n",
            "\na\nb",
            "- a\n- b",
            "a\r\nb",
            "a \n b ",
            "---\nx",
            "...\nx\n",
            "a\n#b",
            "a\n\t",
            "a\n \n",
            "a\n   \nb",
        ] {
            let value: Value = text.into();
            for value in [value.clone(), Value::list([value.clone()]), Value::object([("k", Value::list([value]))])] {
                let written = yaml(&value).unwrap();
                assert_eq!(decode::yaml(&written), Ok(value), "{written}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in anything()) {
            prop_assert_eq!(decode::json(&json(&value).unwrap()), Ok(value.clone()));
            let written = yaml(&value).unwrap();
            prop_assert_eq!(decode::yaml(&written), Ok(value), "{}", written);
        }
    }
}
