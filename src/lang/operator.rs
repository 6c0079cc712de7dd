//! The strict operators: arithmetic, comparison, equality.

use super::ast::{At, Binary};
use super::convert::to_number;
use super::eval::{Evaluator, Outcome, remark};
use super::{Number, Value};
use crate::source::Diagnostic;

/// Applies an operator to two values and their places.
#[inline(never)]
pub(super) fn apply(evaluator: &Evaluator<'_>, operator: Binary, at: At, left: (&Value, At), right: (&Value, At)) -> Outcome {
    if matches!(operator, Binary::Equal | Binary::NotEqual) {
        return Ok(equal(left.0, right.0, operator == Binary::Equal));
    }
    let ((left_plain, left_marked), (right_plain, right_marked)) = (left.0.unmark(), right.0.unmark());
    let marked = left_marked || right_marked;
    let mut numbers = [Number::ZERO; 2];
    let mut unknown = false;
    for (index, (plain, (value, place))) in [(left_plain, left), (right_plain, right)].into_iter().enumerate() {
        match (plain, to_number(plain)) {
            (Value::Unknown, _) => unknown = true,
            (_, Some(number)) => numbers[index] = number,
            _ => return evaluator.wrong_type(place, "a number", value),
        }
    }
    if unknown {
        return Ok(remark(Value::Unknown, marked));
    }
    let [left_number, right_number] = numbers;
    let value = match operator {
        Binary::Less => Value::Bool(left_number < right_number),
        Binary::LessEqual => Value::Bool(left_number <= right_number),
        Binary::Greater => Value::Bool(left_number > right_number),
        Binary::GreaterEqual => Value::Bool(left_number >= right_number),
        _ => Value::Number(arithmetic(evaluator, operator, at, left_number, right_number, right.1)?),
    };
    Ok(remark(value, marked))
}

fn arithmetic(evaluator: &Evaluator<'_>, operator: Binary, at: At, left: Number, right: Number, right_at: At) -> Outcome<Number> {
    let result = match operator {
        Binary::Divide | Binary::Remainder if right.is_zero() => {
            let diagnostic = Diagnostic::error("division by zero")
                .detail("what stands on the right side is zero")
                .help("ask first, as in `n == 0 ? 0 : m / n`");
            return evaluator.fail(right_at, diagnostic);
        }
        Binary::Subtract => left.checked_sub(right),
        Binary::Multiply => left.checked_mul(right),
        Binary::Divide => left.checked_div(right),
        Binary::Remainder => left.checked_rem(right),
        _ => left.checked_add(right),
    };
    match result {
        Some(number) => Ok(number),
        None => {
            let diagnostic =
                Diagnostic::error("number too large").detail("the result has more than 28 digits").help("use smaller numbers");
            evaluator.fail(at, diagnostic)
        }
    }
}

/// Values of different types are different; what holds something unknown may be equal or not.
fn equal(left: &Value, right: &Value, wanted: bool) -> Value {
    // The common case needs no walk through the values.
    if let (Value::String(left), Value::String(right)) = (left, right) {
        return Value::Bool((left == right) == wanted);
    }
    let marked = left.has_sensitive() || right.has_sensitive();
    if left.has_unknown() || right.has_unknown() {
        return remark(Value::Unknown, marked);
    }
    let same = if marked { left.revealed() == right.revealed() } else { left == right };
    remark(Value::Bool(same == wanted), marked)
}
