//! How `format` writes a number: whole in a base, with a fixed number of decimals, with an exponent, or whichever is shorter.
//!
//! Works on the decimal digits themselves, so that nothing is lost to doubles. Ties round to the even digit, as in Go.

use crate::lang::Number;

/// A number as its significant digits (none for zero) and the place of the point: 0.`digits` × 10^`point`.
#[derive(Debug, Clone)]
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

impl Digits {
    fn of(number: &Number) -> Self {
        let number = number.normalize();
        if number.is_zero() {
            return Self { digits: Vec::new(), point: 1 };
        }
        let mut digits: Vec<u8> = number.mantissa().unsigned_abs().to_string().into_bytes();
        let point = i32::try_from(digits.len()).unwrap_or(i32::MAX).saturating_sub_unsigned(number.scale());
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        Self { digits, point }
    }

    /// Keeps `keep` digits (of which there may be fewer than none), rounding the last.
    fn round(&mut self, keep: i32) {
        let Ok(keep) = usize::try_from(keep) else {
            self.digits.clear();
            return;
        };
        let Some(next) = self.digits.get(keep).copied() else { return };
        let exactly_half = next == b'5' && self.digits.len() == keep + 1;
        let odd = keep > 0 && self.digits[keep - 1] % 2 == 1;
        let up = if exactly_half { odd } else { next >= b'5' };
        self.digits.truncate(keep);
        if up {
            while self.digits.last() == Some(&b'9') {
                self.digits.pop();
            }
            if let Some(last) = self.digits.last_mut() {
                *last += 1;
            } else {
                self.digits.push(b'1');
                self.point += 1;
            }
        }
    }

    /// The digit at a place, counted from the first one.
    fn at(&self, place: i32) -> char {
        usize::try_from(place).ok().and_then(|place| self.digits.get(place)).map_or('0', |digit| char::from(*digit))
    }
}

/// `-12.50`: with this many decimals. Without sign.
pub(super) fn fixed(number: &Number, decimals: usize) -> String {
    let mut digits = Digits::of(number);
    let decimals = i32::try_from(decimals).unwrap_or(i32::MAX);
    digits.round(digits.point.saturating_add(decimals));
    let mut text: String = if digits.point > 0 { (0..digits.point).map(|place| digits.at(place)).collect() } else { "0".into() };
    if decimals > 0 {
        text.push('.');
        text.extend((0..decimals).map(|place| digits.at(digits.point + place)));
    }
    text
}

/// `1.25e+01`: with this many decimals, or as many as needed. Without sign.
pub(super) fn exponent(number: &Number, decimals: Option<usize>) -> String {
    let mut digits = Digits::of(number);
    if let Some(decimals) = decimals {
        digits.round(i32::try_from(decimals).unwrap_or(i32::MAX).saturating_add(1));
    }
    let needed = digits.digits.len().saturating_sub(1);
    let decimals = i32::try_from(decimals.unwrap_or(needed)).unwrap_or(i32::MAX);
    let mut text = String::from(digits.at(0));
    if decimals > 0 {
        text.push('.');
        text.extend((1..=decimals).map(|place| digits.at(place)));
    }
    let exponent = digits.point - 1;
    format!("{text}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// With an exponent where that is very large or small, otherwise plain: Go's `%g`. Without sign.
pub(super) fn general(number: &Number, precision: Option<usize>) -> String {
    let mut digits = Digits::of(number);
    let threshold = match precision {
        Some(precision) => {
            let precision = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
            digits.round(precision);
            let count = i32::try_from(digits.digits.len()).unwrap_or(i32::MAX);
            if precision > count && count >= digits.point { count } else { precision }
        }
        None => 6,
    };
    let exponent_now = digits.point - 1;
    if exponent_now < -4 || exponent_now >= threshold.max(1) {
        return match precision {
            Some(precision) => {
                let decimals = precision.max(1) - 1;
                exponent(number, Some(decimals.min(digits.digits.len().saturating_sub(1))))
            }
            None => exponent(number, None),
        };
    }
    let decimals = i32::try_from(digits.digits.len()).unwrap_or(i32::MAX).saturating_sub(digits.point).max(0);
    fixed(number, usize::try_from(decimals).unwrap_or(0))
}

/// A whole number in base 2, 8, 10 or 16; nothing for a fraction. Without sign.
pub(super) fn whole(number: &Number, verb: char) -> Option<String> {
    if !number.is_integer() {
        return None;
    }
    let size = number.normalize().trunc().mantissa().unsigned_abs();
    Some(match verb {
        'b' => format!("{size:b}"),
        'o' => format!("{size:o}"),
        'x' => format!("{size:x}"),
        'X' => format!("{size:X}"),
        _ => size.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn decimals_are_fixed_and_rounded_to_even() {
        for (text, decimals, wanted) in [
            ("3.14159", 2, "3.14"),
            ("0.125", 2, "0.12"),
            ("0.375", 2, "0.38"),
            ("2.5", 0, "2"),
            ("3.5", 0, "4"),
            ("999.999", 2, "1000.00"),
            ("0.0001", 2, "0.00"),
            ("0.5", 0, "0"),
            ("0.51", 0, "1"),
            ("0.006", 2, "0.01"),
            ("0.096", 2, "0.10"),
            ("1200", 1, "1200.0"),
            ("0", 3, "0.000"),
        ] {
            assert_eq!(fixed(&number(text), decimals), wanted, "{text}");
        }
    }

    #[test]
    fn exponents_have_two_digits() {
        for (text, decimals, wanted) in [
            ("12.5", Some(6), "1.250000e+01"),
            ("0.00012", Some(1), "1.2e-04"),
            ("9.99", Some(1), "1.0e+01"),
            ("0", Some(2), "0.00e+00"),
            ("1200", None, "1.2e+03"),
            ("5", Some(0), "5e+00"),
        ] {
            assert_eq!(exponent(&number(text), decimals), wanted, "{text}");
        }
    }

    #[test]
    fn the_general_form_is_that_of_go() {
        for (text, precision, wanted) in [
            ("100000", None, "100000"),
            ("1000000", None, "1e+06"),
            ("123456789", None, "1.23456789e+08"),
            ("123456.789", None, "123456.789"),
            ("0.0001", None, "0.0001"),
            ("0.00001", None, "1e-05"),
            ("0", None, "0"),
            ("3.14159", Some(3), "3.14"),
            ("1234.5", Some(2), "1.2e+03"),
            ("100", Some(3), "100"),
            ("99.96", Some(3), "100"),
            ("0.5", Some(0), "0.5"),
        ] {
            assert_eq!(general(&number(text), precision), wanted, "{text} {precision:?}");
        }
    }

    #[test]
    fn a_fraction_has_no_whole_form() {
        assert_eq!(whole(&number("255.0"), 'x').as_deref(), Some("ff"));
        assert_eq!(whole(&number("-255"), 'X').as_deref(), Some("FF"));
        assert_eq!(whole(&number("0.5"), 'd'), None);
    }

    proptest! {
        #[test]
        fn all_decimals_are_the_number_itself(mantissa in any::<i64>(), scale in 0_u32..=28) {
            let number = Number::new(mantissa, scale).abs();
            let text = fixed(&number, 28);
            prop_assert_eq!(text.parse::<Number>().unwrap(), number);
            let text = exponent(&number, None);
            prop_assert_eq!(Number::from_scientific_lossy(&text.replace("e+", "e")).unwrap(), number);
        }
    }
}
