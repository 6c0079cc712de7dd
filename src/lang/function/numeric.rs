//! Functions on numbers: exact decimals of 28 digits, checked at every step. `log` and fractional powers go through doubles.

use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use super::{Answer, Env, Function, Kind, Param, Run, args, convert, param};
use crate::lang::{Number, Value};

const ONE: &[Param] = &[param("number", Kind::Number)];
const TOO_LARGE: &str = "the result has more than 28 digits";

const fn numeric(
    name: &'static str,
    params: &'static [Param],
    say: &'static str,
    example: (&'static str, &'static str),
    run: Run,
) -> Function {
    Function::new("numeric", name, params, say, example, run)
}

pub(super) static ABS: Function = numeric("abs", ONE, "Takes the sign off a number.", ("abs(-3.5)", "3.5"), |_, given| {
    Ok(Value::Number(args::number(given, 0, "number")?.abs()))
});

pub(super) static CEIL: Function = numeric("ceil", ONE, "Rounds up to a whole number.", ("ceil(5.1)", "6"), |_, given| {
    Ok(Value::Number(args::number(given, 0, "number")?.ceil()))
});

pub(super) static FLOOR: Function = numeric("floor", ONE, "Rounds down to a whole number.", ("floor(5.9)", "5"), |_, given| {
    Ok(Value::Number(args::number(given, 0, "number")?.floor()))
});

pub(super) static LOG: Function = numeric(
    "log",
    &[param("number", Kind::Number), param("base", Kind::Number)],
    "Gives the logarithm of a number to a base.",
    ("log(16, 2)", "4"),
    |_, given| {
        let (number, base) = (args::number(given, 0, "number")?, args::number(given, 1, "base")?);
        if number <= Number::ZERO || base <= Number::ZERO || base == Number::ONE {
            return Err("the logarithm needs a number above 0, and a base above 0 that is not 1".into());
        }
        let (number, base) = (double(number)?, double(base)?);
        // The plain quotient gives 2.999… for log(1000, 10).
        let answer = if base == 10.0 {
            number.log10()
        } else if base == 2.0 {
            number.log2()
        } else {
            number.ln() / base.ln()
        };
        exact(answer)
    },
);

pub(super) static MAX: Function =
    numeric("max", ONE, "Gives the greatest of its arguments.", ("max(12, 54, 3)", "54"), |_, given| extreme(given, Number::max))
        .rest(param("numbers", Kind::Number));

pub(super) static MIN: Function =
    numeric("min", ONE, "Gives the least of its arguments.", ("min(12, 54, 3)", "3"), |_, given| extreme(given, Number::min))
        .rest(param("numbers", Kind::Number));

fn extreme(given: &[Value], choose: fn(Number, Number) -> Number) -> Answer {
    let mut best = args::number(given, 0, "number")?;
    for at in 1..given.len() {
        best = choose(best, args::number(given, at, "numbers")?);
    }
    Ok(Value::Number(best))
}

pub(super) static PARSEINT: Function = numeric(
    "parseint",
    &[param("string", Kind::String), param("base", Kind::Number)],
    "Reads a whole number written in a base from 2 to 62.",
    (r#"parseint("ff", 16)"#, "255"),
    parseint,
);

fn parseint(_: &Env<'_>, given: &[Value]) -> Answer {
    let (text, base) = (args::text(given, 0, "string")?, args::whole(given, 1, "base")?);
    if !(2..=62).contains(&base) {
        return Err(format!("argument \"base\" must be from 2 to 62, and is {base}"));
    }
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let refused = || format!("{text:?} is no whole number in base {base}");
    if digits.is_empty() {
        return Err(refused());
    }
    let mut number = Number::ZERO;
    for digit in digits {
        // Up to base 36 letters have no case; above it small letters come first, as in Terraform.
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'z' => digit - b'a' + 10,
            b'A'..=b'Z' if base <= 36 => digit - b'A' + 10,
            b'A'..=b'Z' => digit - b'A' + 36,
            _ => return Err(refused()),
        };
        if i64::from(value) >= base {
            return Err(refused());
        }
        let shifted = number.checked_mul(base.into());
        number = shifted.and_then(|shifted| shifted.checked_add(value.into())).ok_or(TOO_LARGE)?;
    }
    Ok(Value::Number(if negative && !number.is_zero() { -number } else { number }))
}

pub(super) static POW: Function = numeric(
    "pow",
    &[param("number", Kind::Number), param("power", Kind::Number)],
    "Raises a number to a power.",
    ("pow(2, 10)", "1024"),
    |_, given| {
        let (number, power) = (args::number(given, 0, "number")?, args::number(given, 1, "power")?);
        if number.is_zero() && power.is_sign_negative() && !power.is_zero() {
            return Err("0 has no negative power".into());
        }
        match power.normalize().to_i64().filter(|_| power.is_integer()) {
            Some(whole) => power_of(number, whole).map(Value::Number).ok_or_else(|| TOO_LARGE.into()),
            None => exact(double(number)?.powf(double(power)?)),
        }
    },
);

/// Squares and multiplies. The loop ends early where the number is 0, 1 or -1, and by overflow otherwise.
fn power_of(number: Number, power: i64) -> Option<Number> {
    let (mut square, mut left, mut answer) = (number, power.unsigned_abs(), Number::ONE);
    while left > 0 {
        if left & 1 == 1 {
            answer = answer.checked_mul(square)?;
        }
        left >>= 1;
        if left > 0 {
            square = square.checked_mul(square)?;
        }
    }
    if power < 0 { Number::ONE.checked_div(answer) } else { Some(answer) }
}

pub(super) static SIGNUM: Function =
    numeric("signum", ONE, "Gives -1, 0 or 1: the sign of a number.", ("signum(-13)", "-1"), |_, given| {
        let number = args::number(given, 0, "number")?;
        Ok(Value::from(if number.is_zero() {
            0_i64
        } else if number.is_sign_negative() {
            -1
        } else {
            1
        }))
    });

pub(super) static SUM: Function =
    numeric("sum", &[param("list", Kind::List)], "Adds the numbers of a list.", ("sum([10, 13, 6, 4.5])", "33.5"), |_, given| {
        let items = args::list(given, 0, "list")?;
        if items.is_empty() {
            return Err("argument \"list\" is empty".into());
        }
        let mut total = Number::ZERO;
        for (index, item) in items.iter().enumerate() {
            let number = convert::number_of(item)
                .ok_or_else(|| format!("item {index} of argument \"list\" must be a number, not {}", item.kind()))?;
            total = total.checked_add(number).ok_or(TOO_LARGE)?;
        }
        Ok(Value::Number(total))
    });

fn double(number: Number) -> Result<f64, String> {
    number.to_f64().ok_or_else(|| TOO_LARGE.into())
}

fn exact(answer: f64) -> Answer {
    if answer.is_nan() {
        return Err("the result is no real number".into());
    }
    Number::from_f64(answer).map(Value::Number).ok_or_else(|| TOO_LARGE.into())
}

#[cfg(test)]
mod tests {
    use crate::lang::Value;
    use crate::lang::function::tests::{call, fails, number};

    #[test]
    fn powers_are_exact_and_never_wrap() {
        for (base, power, wanted) in
            [("2", "64", "18446744073709551616"), ("1.1", "2", "1.21"), ("2", "-2", "0.25"), ("9", "0.5", "3"), ("0", "0", "1")]
        {
            assert_eq!(call("pow", [number(base), number(power)]), number(wanted), "{base}^{power}");
        }
        assert_eq!(call("pow", [number("-1"), number("9223372036854775807")]), number("-1"));
        assert!(fails("pow", [number("10"), number("30")]).contains("28 digits"));
        assert!(fails("pow", [number("10"), number("-9223372036854775808")]).contains("28 digits"));
        assert!(fails("pow", [number("0"), number("-1")]).contains("negative power"));
        assert!(fails("pow", [number("-8"), number("0.5")]).contains("no real number"));
    }

    #[test]
    fn logarithms_of_powers_of_ten_are_whole() {
        assert_eq!(call("log", [number("1000"), number("10")]), number("3"));
        assert!(fails("log", [number("0"), number("10")]).contains("above 0"));
        assert!(fails("log", [number("5"), number("1")]).contains("not 1"));
    }

    #[test]
    fn parseint_knows_every_base_and_refuses_foreign_digits() {
        for (text, base, wanted) in
            [("-1010", "2", "-10"), ("FF", "16", "255"), ("Z", "62", "61"), ("z", "62", "35"), ("-0", "10", "0")]
        {
            assert_eq!(call("parseint", [text.into(), number(base)]), number(wanted), "{text}");
        }
        for (text, base) in [("", "10"), ("-", "10"), ("12", "2"), ("1.5", "10"), ("é", "36"), ("1", "1"), ("1", "63")] {
            fails("parseint", [text.into(), number(base)]);
        }
        assert!(fails("parseint", ["f".repeat(40).into(), number("16")]).contains("28 digits"));
    }

    #[test]
    fn a_sum_is_exact_and_takes_texts_that_are_numbers() {
        assert_eq!(call("sum", [Value::list([number("0.1"), "0.2".into()])]), number("0.3"));
        assert!(fails("sum", [Value::list([])]).contains("empty"));
        assert!(fails("sum", [Value::list([Value::Number(rust_decimal::Decimal::MAX), number("1")])]).contains("28 digits"));
        assert!(fails("sum", [Value::list([Value::Null])]).contains("item 0"));
    }

    #[test]
    fn rounding_goes_towards_the_named_side() {
        assert_eq!(call("ceil", [number("-1.5")]), number("-1"));
        assert_eq!(call("floor", [number("-1.5")]), number("-2"));
        assert_eq!(call("signum", [number("-0.0")]), number("0"));
    }
}
