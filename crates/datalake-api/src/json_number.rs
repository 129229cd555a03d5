//! Numbers in JSON documents, in the form of CSVs and pages.

use datalake_core::dataset::ValueRef;
use serde::{Serialize, Serializer, ser::Error};
use serde_json::value::RawValue;

/// A finite number in its shortest form: `478`, where the form of floats in JSON would be `478.0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonNumber(pub(crate) f64);

impl Serialize for JsonNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = ValueRef::Number(self.0).to_string();
        RawValue::from_string(text).map_err(Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_form_of_a_csv_and_are_read_back() {
        let check = |number: f64, expected: &str| {
            let text = serde_json::to_string(&JsonNumber(number)).unwrap();
            assert_eq!(text, expected);
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_number(), "{text}");
            assert_eq!(text.parse(), Ok(number));
        };
        check(478.0, "478");
        check(-0.5, "-0.5");
        check(0.0, "0");
        check(1e15, "1000000000000000");
        check(1e300, "1e300");
        check(f64::MAX, "1.7976931348623157e308");
        check(-2.5e-7, "-2.5e-7");
        check(5e-324, "5e-324");
    }
}
