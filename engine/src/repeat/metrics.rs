//! Comparing metrics: two JSON values, and where they differ first.

use serde_json::Value;

use crate::repeats::Where;

/// Where two values differ first; none if they are the same, numbers within the relative tolerance.
pub(super) fn difference(cached: &Value, repeated: &Value, tolerance: f64) -> Option<Where> {
    compare("", cached, repeated, tolerance)
}

fn compare(path: &str, cached: &Value, repeated: &Value, tolerance: f64) -> Option<Where> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let differs = |path: String, cached: Option<&Value>, repeated: Option<&Value>| {
        Some(Where::Value { path, cached: cached.cloned(), repeated: repeated.cloned() })
    };
    match (cached, repeated) {
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.iter().find_map(|(name, value)| match new.get(name) {
                Some(now) => compare(&below(name), value, now, tolerance),
                None => differs(below(name), Some(value), None),
            });
            let is_new = || new.iter().find(|(name, _)| !old.contains_key(*name));
            gone.or_else(|| is_new().and_then(|(name, value)| differs(below(name), None, Some(value))))
        }
        (Value::Array(old), Value::Array(new)) => {
            let at = |place: usize| format!("{path}[{place}]");
            (0..old.len().max(new.len())).find_map(|place| match (old.get(place), new.get(place)) {
                (Some(value), Some(now)) => compare(&at(place), value, now, tolerance),
                (value, now) => differs(at(place), value, now),
            })
        }
        (old, new) if is_same(old, new, tolerance) => None,
        (old, new) => differs(path.to_owned(), Some(old), Some(new)),
    }
}

fn is_same(old: &Value, new: &Value, tolerance: f64) -> bool {
    if old == new {
        return true;
    }
    match (old.as_f64(), new.as_f64()) {
        (Some(old), Some(new)) => {
            (old - new).abs() <= tolerance * old.abs().max(new.abs()) && tolerance > 0.0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(cached: &Value, repeated: &Value, tolerance: f64) -> Option<String> {
        difference(cached, repeated, tolerance).map(|at| match at {
            Where::Value { path, .. } => path,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_first_value_that_differs_is_named() {
        let cached = json!({ "rmse": 1.0, "folds": [{ "r2": 0.5 }, { "r2": 0.6 }], "name": "a" });
        assert_eq!(path(&cached, &cached, 0.0), None);
        let mut other = cached.clone();
        other["folds"][1]["r2"] = json!(0.7);
        assert_eq!(path(&cached, &other, 0.0).as_deref(), Some("folds[1].r2"));
        assert_eq!(path(&cached, &other, 0.2), None);
        assert_eq!(path(&json!({}), &json!({ "new": 1 }), 1.0).as_deref(), Some("new"));
        assert_eq!(path(&json!({ "gone": 1 }), &json!({}), 1.0).as_deref(), Some("gone"));
        assert_eq!(path(&json!({ "n": "1" }), &json!({ "n": 1 }), 1.0).as_deref(), Some("n"));
        assert_eq!(path(&json!([1]), &json!([1, 2]), 0.0).as_deref(), Some("[1]"));
    }

    #[test]
    fn the_tolerance_is_relative() {
        let pair = |old: f64, new: f64| path(&json!({ "m": old }), &json!({ "m": new }), 1e-9).is_none();
        assert!(pair(1e6, 1e6 + 1e-4) && !pair(1e6, 1e6 + 1e-2));
        assert!(pair(1e-6, 1e-6 + 1e-16) && !pair(1e-6, 1e-6 + 1e-10));
        assert!(pair(0.0, -0.0) && !pair(0.0, 1e-300));
        assert!(!pair(1.0, -1.0));
    }

    #[test]
    fn without_a_tolerance_large_numbers_that_are_near_differ() {
        assert!(path(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64), 0.0).is_some());
    }
}
