//! Weights as commands take them: a number, or a part of what the file says.

use crate::model::Weight;

/// Why a text is no weight, as HAProxy says it.
pub type Complaint = &'static str;

/// Reads a weight, of which `initial` is what the configuration says.
pub fn read(text: &str, initial: Weight) -> Result<Weight, Complaint> {
    if text.is_empty() {
        return Err("Require <weight> or <weight%>.\n");
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return Err("Empty weight string empty or preceded by garbage\n");
    }
    // More digits than these say no more than that it is too large.
    let number: i64 = digits[..end.min(9)].parse().unwrap_or(i64::MAX);
    let number = if text.starts_with('-') { -number } else { number };
    match &digits[end..] {
        "%" if number < 0 => Err("Relative weight must be positive.\n"),
        "%" => Ok(largest(number.saturating_mul(initial.value().into()) / 100)),
        "" if (0..=Weight::MAX.into()).contains(&number) => Ok(largest(number)),
        "" => Err("Absolute weight can only be between 0 and 256 inclusive.\n"),
        _ => Err("Trailing garbage in weight string\n"),
    }
}

/// This number, or the largest weight there is.
fn largest(number: i64) -> Weight {
    let number = u16::try_from(number).unwrap_or(Weight::MAX).min(Weight::MAX);
    Weight::new(number).expect("it is at most the largest")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail with a part of one weight more.
    #[test]
    fn a_weight_is_a_number_or_a_part_of_the_first_one() {
        let of = |text| read(text, Weight::new(3).unwrap()).map(Weight::value);
        assert_eq!([of("10"), of("+7"), of("0"), of("256")], [Ok(10), Ok(7), Ok(0), Ok(256)]);
        assert_eq!([of("50%"), of("100%"), of("300%"), of("30000%")], [Ok(1), Ok(3), Ok(9), Ok(256)]);
        assert!(of("").unwrap_err().starts_with("Require <weight>"));
        assert!(of("foo").unwrap_err().starts_with("Empty weight"));
        assert!(of("5x").unwrap_err().starts_with("Trailing garbage"));
        assert!(of("-5%").unwrap_err().starts_with("Relative weight"));
        for wrong in ["257", "-1", "99999999999999999999"] {
            assert!(of(wrong).unwrap_err().starts_with("Absolute weight"), "{wrong}");
        }
    }
}
