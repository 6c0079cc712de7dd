//! Functions between values and the forms that other programs read: base64, URLs, JSON, YAML, CSV.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder, read::GzDecoder};

use super::limit::{self, Bytes};
use super::{Answer, Env, Function, Kind, Param, Run, args, decode, encode, param};
use crate::lang::Value;

const fn encoding(
    name: &'static str,
    params: &'static [Param],
    say: &'static str,
    example: (&'static str, &'static str),
    run: Run,
) -> Function {
    Function::new("encoding", name, params, say, example, run)
}

const TEXT: &[Param] = &[param("string", Kind::String)];
const VALUE: &[Param] = &[param("value", Kind::Any)];
const WITH_ENCODING: &[Param] = &[param("string", Kind::String), param("encoding", Kind::String)];

pub(super) static BASE64DECODE: Function =
    encoding("base64decode", TEXT, "Reads a text from base64.", (r#"base64decode("SGVsbG8=")"#, r#""Hello""#), |_, given| {
        let text = String::from_utf8(from_base64(given)?);
        text.map(Value::from).map_err(|_| "the decoded bytes are no UTF-8 text (`textdecodebase64` reads other encodings)".into())
    });

pub(super) static BASE64ENCODE: Function =
    encoding("base64encode", TEXT, "Writes a text as base64.", (r#"base64encode("Hello")"#, r#""SGVsbG8=""#), |_, given| {
        limit::text(STANDARD.encode(args::text(given, 0, "string")?))
    });

pub(super) static BASE64GUNZIP: Function = encoding(
    "base64gunzip",
    TEXT,
    "Reads a text from base64 of gzip.",
    (r#"base64gunzip(base64gzip("Hello"))"#, r#""Hello""#),
    |_, given| {
        let packed = from_base64(given)?;
        let mut bytes = Vec::new();
        let most = limit::TEXT as u64 + 1;
        GzDecoder::new(&packed[..]).take(most).read_to_end(&mut bytes).map_err(|error| format!("this is no gzip: {error}"))?;
        limit::text(String::from_utf8(bytes).map_err(|_| "the unpacked bytes are no UTF-8 text")?)
    },
);

pub(super) static BASE64GZIP: Function = encoding(
    "base64gzip",
    TEXT,
    "Packs a text with gzip and writes it as base64.",
    (r#"startswith(base64gzip("Hello"), "H4sI")"#, "true"),
    |_, given| {
        // No time and no name in the header: the same text gives the same bytes.
        let mut packer = GzBuilder::new().write(Bytes::default(), Compression::best());
        packer.write_all(args::text(given, 0, "string")?.as_bytes()).map_err(|error| error.to_string())?;
        let packed = packer.finish().map_err(|error| error.to_string())?;
        limit::text(STANDARD.encode(packed.0))
    },
);

fn from_base64(given: &[Value]) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(args::text(given, 0, "string")?)
        .map_err(|error| format!("this is no base64: {}", error.to_string().trim_end_matches('.')))
}

pub(super) static CSVDECODE: Function = encoding(
    "csvdecode",
    TEXT,
    "Reads CSV with a header line: an object of texts for every further line.",
    (r#"csvdecode("a,b\n1,2\n")"#, r#"[{ a = "1", b = "2" }]"#),
    |_, given| decode::csv(args::text(given, 0, "string")?),
);

pub(super) static JSONDECODE: Function = encoding(
    "jsondecode",
    TEXT,
    "Reads a value from JSON.",
    (r#"jsondecode("{\"a\": [1, true]}")"#, "{ a = [1, true] }"),
    |_, given| decode::json(args::text(given, 0, "string")?),
);

pub(super) static JSONENCODE: Function = encoding(
    "jsonencode",
    VALUE,
    "Writes a value as JSON, names sorted, without spaces.",
    (r#"jsonencode({ b = [1, true], a = null })"#, r#""{\"a\":null,\"b\":[1,true]}""#),
    |_, given| limit::text(encode::json(args::any(given, 0, "value")?)?),
);

pub(super) static YAMLDECODE: Function = encoding(
    "yamldecode",
    TEXT,
    "Reads a value from a YAML document.",
    (r#"yamldecode("a: [1, true]")"#, "{ a = [1, true] }"),
    |_, given| decode::yaml(args::text(given, 0, "string")?),
);

pub(super) static YAMLENCODE: Function = encoding(
    "yamlencode",
    VALUE,
    "Writes a value as YAML, names sorted and quoted.",
    (r#"yamlencode({ a = [1, "b"] })"#, r#""\"a\":\n- 1\n- \"b\"\n""#),
    |_, given| limit::text(encode::yaml(args::any(given, 0, "value")?)?),
);

/// The encodings by the names that people use for them.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    Latin1,
}

fn encoding_of(name: &str) -> Result<Encoding, String> {
    match name.to_ascii_uppercase().replace('_', "-").as_str() {
        "UTF-8" | "UTF8" => Ok(Encoding::Utf8),
        "UTF-16LE" => Ok(Encoding::Utf16Le),
        "UTF-16BE" => Ok(Encoding::Utf16Be),
        "ISO-8859-1" | "LATIN1" => Ok(Encoding::Latin1),
        _ => Err(format!("there is no encoding {name:?}; known are UTF-8, UTF-16LE, UTF-16BE and ISO-8859-1")),
    }
}

pub(super) static TEXTDECODEBASE64: Function = encoding(
    "textdecodebase64",
    WITH_ENCODING,
    "Reads a text of an encoding (UTF-8, UTF-16LE, UTF-16BE, ISO-8859-1) from base64.",
    (r#"textdecodebase64("SABpAA==", "UTF-16LE")"#, r#""Hi""#),
    textdecode,
);

fn textdecode(_: &Env<'_>, given: &[Value]) -> Answer {
    let (bytes, name) = (from_base64(given)?, args::text(given, 1, "encoding")?);
    let units = |read: fn([u8; 2]) -> u16| -> Option<String> {
        let pairs = bytes.chunks_exact(2);
        let whole = pairs.remainder().is_empty();
        let units: Vec<u16> = pairs.map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok().filter(|_| whole)
    };
    let text = match encoding_of(name)? {
        Encoding::Utf8 => String::from_utf8(bytes.clone()).ok(),
        Encoding::Utf16Le => units(u16::from_le_bytes),
        Encoding::Utf16Be => units(u16::from_be_bytes),
        Encoding::Latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
    };
    limit::text(text.ok_or_else(|| format!("the decoded bytes are no {name} text"))?)
}

pub(super) static TEXTENCODEBASE64: Function = encoding(
    "textencodebase64",
    WITH_ENCODING,
    "Writes a text in an encoding (UTF-8, UTF-16LE, UTF-16BE, ISO-8859-1) as base64.",
    (r#"textencodebase64("Hi", "UTF-16LE")"#, r#""SABpAA==""#),
    |_, given| {
        let (text, name) = (args::text(given, 0, "string")?, args::text(given, 1, "encoding")?);
        let bytes = match encoding_of(name)? {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Encoding::Latin1 => {
                let bytes: Option<Vec<u8>> = text.chars().map(|one| u8::try_from(u32::from(one)).ok()).collect();
                bytes.ok_or_else(|| format!("the text has characters that {name} has not"))?
            }
        };
        limit::text(STANDARD.encode(bytes))
    },
);

pub(super) static URLDECODE: Function = encoding(
    "urldecode",
    TEXT,
    "Reads a text from its form in a URL's query.",
    (r#"urldecode("a+b%26c")"#, r#""a b&c""#),
    |_, given| {
        let mut bytes = Vec::new();
        let mut rest = args::text(given, 0, "string")?.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let mut digit =
                        || rest.next().and_then(|digit| char::from(digit).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
                    let (high, low) = (digit(), digit());
                    high.zip(low).map(|(high, low)| high * 16 + low).ok_or("a `%` must be followed by two hexadecimal digits")?
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).map(Value::from).map_err(|_| "the decoded bytes are no UTF-8 text".into())
    },
);

pub(super) static URLENCODE: Function = encoding(
    "urlencode",
    TEXT,
    "Writes a text as it stands in a URL's query.",
    (r#"urlencode("a b&c")"#, r#""a+b%26c""#),
    |_, given| {
        let mut encoded = String::new();
        for byte in args::text(given, 0, "string")?.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
                b' ' => encoded.push('+'),
                byte => encoded.push_str(&format!("%{byte:02X}")),
            }
        }
        limit::text(encoded)
    },
);

#[cfg(test)]
mod tests {
    use crate::lang::Value;
    use crate::lang::function::tests::{call, fails};

    #[test]
    fn every_encoding_comes_back() {
        for encoding in ["UTF-8", "utf-16le", "UTF-16BE", "ISO-8859-1"] {
            let encoded = call("textencodebase64", ["Grüße".into(), encoding.into()]);
            assert_eq!(call("textdecodebase64", [encoded, encoding.into()]), "Grüße".into(), "{encoding}");
        }
        assert!(fails("textencodebase64", ["€".into(), "ISO-8859-1".into()]).contains("has not"));
        assert!(fails("textdecodebase64", ["QQ==".into(), "UTF-16LE".into()]).contains("no UTF-16LE text"));
        assert!(fails("textencodebase64", ["a".into(), "EBCDIC".into()]).contains("no encoding \"EBCDIC\""));
    }

    #[test]
    fn what_is_no_base64_is_said_so() {
        assert!(fails("base64decode", ["?".into()]).starts_with("this is no base64: "));
        assert!(fails("base64decode", ["/w==".into()]).contains("no UTF-8"));
        assert!(fails("base64gunzip", ["QQ==".into()]).starts_with("this is no gzip: "));
    }

    #[test]
    fn a_packed_bomb_is_not_unpacked() {
        let bomb = call("base64gzip", ["\0".repeat(16 << 20).into()]);
        assert_eq!(call("length", [call("base64gunzip", [bomb])]), Value::from((16_u64) << 20));
        let text: Value = "\0".repeat((16 << 20) + 1).into();
        let bomb = call("base64gzip", [text]);
        assert!(fails("base64gunzip", [bomb]).contains("16 MiB"));
    }

    #[test]
    fn urls_come_back() {
        let text: Value = "a/b?c=d e%+ü~".into();
        assert_eq!(call("urlencode", [text.clone()]), "a%2Fb%3Fc%3Dd+e%25%2B%C3%BC~".into());
        assert_eq!(call("urldecode", [call("urlencode", [text.clone()])]), text);
        for wrong in ["%", "%1", "%zz", "%ff"] {
            fails("urldecode", [wrong.into()]);
        }
    }
}
