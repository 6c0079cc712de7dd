//! Looks at the text of a policy before the parser does: the parser's work grows exponentially with the depth of brackets, and no
//! limit on time holds it.

/// Brackets of all kinds in each other.
pub(super) const DEEPEST: usize = 24;
/// Square and curly ones in each other: each level doubles what the parser does. At this depth it takes 30 ms.
pub(super) const DEEPEST_BRACES: usize = 12;
/// Square ones alone: each level does more than that.
pub(super) const DEEPEST_SQUARE: usize = 8;
/// The longest line: the parser refuses longer ones, less kindly.
pub(super) const LONGEST_LINE: usize = 1_000;

/// Says where a policy goes too deep, by its line.
pub(super) fn check(text: &str) -> Result<(), (usize, String)> {
    let (mut line, mut deep, mut braces, mut square) = (1, 0_usize, 0_usize, 0_usize);
    for (number, text) in text.lines().enumerate() {
        if text.len() > LONGEST_LINE {
            return Err((number + 1, format!("the line is longer than {LONGEST_LINE} bytes")));
        }
    }
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\n' => line += 1,
            // A comment ends with its line.
            '#' => line += usize::from(signs.by_ref().any(|sign| sign == '\n')),
            '"' => {
                // A text between quotes ends with its line; the parser says so where it does not.
                while let Some(sign) = signs.next() {
                    match sign {
                        '\\' => _ = signs.next(),
                        '"' => break,
                        '\n' => {
                            line += 1;
                            break;
                        }
                        _ => {}
                    }
                }
            }
            '`' => {
                for sign in signs.by_ref() {
                    match sign {
                        '`' => break,
                        '\n' => line += 1,
                        _ => {}
                    }
                }
            }
            '[' | '{' | '(' => {
                deep += 1;
                braces += usize::from(sign != '(');
                square += usize::from(sign == '[');
                if square > DEEPEST_SQUARE {
                    return Err((line, format!("more than {DEEPEST_SQUARE} square brackets are in each other")));
                }
                if braces > DEEPEST_BRACES {
                    return Err((line, format!("more than {DEEPEST_BRACES} square and curly brackets are in each other")));
                }
                if deep > DEEPEST {
                    return Err((line, format!("more than {DEEPEST} brackets are in each other")));
                }
            }
            ']' | '}' | ')' => {
                deep = deep.saturating_sub(1);
                braces = braces.saturating_sub(usize::from(sign != ')'));
                square = square.saturating_sub(usize::from(sign == ']'));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{DEEPEST, DEEPEST_BRACES, DEEPEST_SQUARE, LONGEST_LINE, check};

    fn nested(open: &str, close: &str, depth: usize) -> String {
        format!("package a\n\nx := {}1{}\n", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn brackets_go_only_so_deep() {
        assert_eq!(check(&nested("[", "]", DEEPEST_SQUARE)), Ok(()));
        let (line, why) = check(&nested("[", "]", DEEPEST_SQUARE + 1)).unwrap_err();
        assert_eq!((line, why.as_str()), (3, "more than 8 square brackets are in each other"));
        assert_eq!(check(&nested("(", ")", DEEPEST)), Ok(()));
        assert_eq!(check(&nested("(", ")", DEEPEST + 1)).unwrap_err().0, 3);
        assert_eq!(check(&nested("{", "}", DEEPEST_BRACES + 1)).unwrap_err().0, 3);
        assert_eq!(check(&nested("{[", "]}", DEEPEST_BRACES / 2)), Ok(()));
        assert_eq!(check(&nested("[{", "}]", DEEPEST_BRACES / 2 + 1)).unwrap_err().0, 3);
        // What closes first makes nothing deeper, and what is closed does not count.
        assert_eq!(check(&"[] ".repeat(300)), Ok(()));
        assert_eq!(check(&format!("]]]]{}", "[".repeat(9))).unwrap_err().0, 1);
    }

    #[test]
    fn brackets_in_texts_and_comments_are_none() {
        let many = "[".repeat(40);
        for text in [format!("# {many}\n"), format!("x := \"\\\"{many}\"\n"), format!("x := `{many}\n{many}`\n")] {
            assert_eq!(check(&text), Ok(()), "{text}");
        }
        // A text that is not closed hides nothing behind its line.
        assert_eq!(check(&format!("x := \"\n{many}")).unwrap_err().0, 2);
        assert_eq!(check(&format!("`a\n`{many}")).unwrap_err().0, 2);
    }

    #[test]
    fn a_line_may_be_only_so_long() {
        assert_eq!(check(&format!("a\n{}", "x".repeat(LONGEST_LINE + 1))).unwrap_err().0, 2);
    }

    #[test]
    fn what_passes_is_parsed_at_once() {
        // Not measured against a clock: without the limits this does not end.
        let braces = DEEPEST_BRACES;
        let deepest = [
            ("[", "]", DEEPEST_SQUARE),
            ("(", ")", DEEPEST),
            ("{", "}", braces),
            ("{\"a\": ", "}", braces),
            ("{[", "]}", braces / 2),
        ];
        for (open, close, depth) in deepest {
            let mut engine = regorus::Engine::new();
            let text = nested(open, close, depth);
            assert_eq!(check(&text), Ok(()), "{open}");
            let _ = engine.add_policy("p.rego".to_owned(), text);
        }
    }
}
