//! Numbers in columns: with as many digits as their differences need, the points below each other; changes, and percentages.

use super::text::{number, numbers_apart};

/// What stands where there is no number.
pub(crate) const NOTHING: &str = "-";

/// The numbers of a column that are to be compared with each other.
pub(crate) fn column(values: &[Option<f64>]) -> Vec<String> {
    on_the_point(&apart(values))
}

/// Numbers that are to be compared; [`NOTHING`] where there is none.
pub(crate) fn apart(values: &[Option<f64>]) -> Vec<String> {
    let present: Vec<f64> = values.iter().flatten().copied().collect();
    let mut texts = numbers_apart(&present).into_iter();
    values
        .iter()
        .map(|value| value.and_then(|_| texts.next()).unwrap_or_else(|| NOTHING.to_owned()))
        .collect()
}

/// Texts of numbers with spaces behind them, so that their points stand below each other if they are set from the right.
pub(crate) fn on_the_point(texts: &[String]) -> Vec<String> {
    let behind = |text: &str| match text.find('.') {
        Some(point) => text.chars().count() - point,
        None => 0,
    };
    let most = texts.iter().map(|text| behind(text)).max().unwrap_or(0);
    texts.iter().map(|text| format!("{text}{:1$}", "", most - behind(text))).collect()
}

/// A change between two numbers that are shown as these texts, with no more digits than they have.
pub(crate) fn change(change: f64, shown: &[String]) -> String {
    let decimals =
        shown.iter().filter_map(|text| text.split_once('.')).map(|(_, decimals)| decimals.len()).max();
    let is_plain = shown.iter().all(|text| !text.contains('e'));
    let text = format!("{change:+.*}", decimals.unwrap_or(0));
    let is_nothing = text.chars().all(|c| !('1'..='9').contains(&c));
    match text.contains('.') {
        _ if change == 0.0 => "0".to_owned(),
        _ if !is_plain || is_nothing => signed(&number(change)),
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A change in percent: one decimal, more where that would be nothing, none where it would mean nothing.
pub(crate) fn percent(percent: f64) -> String {
    let size = percent.abs();
    if percent == 0.0 {
        "0".to_owned()
    } else if size >= 1000.0 {
        signed(&number(percent.round()))
    } else if size >= 0.095 {
        format!("{percent:+.1}")
    } else {
        let digits = |text: &String| text.trim_start_matches(['+', '-', '0', '.']).len();
        let shown = (2_usize..=12).map(|decimals| format!("{percent:+.decimals$}"));
        let text = shown.into_iter().find(|text| digits(text) >= 2);
        text.map_or_else(|| format!("{percent:+.1e}"), |text| text.trim_end_matches('0').to_owned())
    }
}

fn signed(number: &str) -> String {
    if number.starts_with('-') { number.to_owned() } else { format!("+{number}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_below_each_other() {
        let numbers = column(&[Some(53.856_431_2), None, Some(9.5), Some(442.0)]);
        assert_eq!(numbers, ["53.8564", "-     ", "9.5   ", "442     "].map(|text| text.to_owned()));
    }

    #[test]
    fn changes_have_the_digits_of_what_changed() {
        let told = |old: f64, new: f64| {
            let shown = apart(&[Some(old), Some(new)]);
            (change(new - old, &shown), percent((new - old) / old.abs() * 100.0))
        };
        let text = |change: &str, percent: &str| (change.to_owned(), percent.to_owned());
        assert_eq!(told(53.856_431_2, 53.1), text("-0.7564", "-1.4"));
        assert_eq!(told(89.0, 90.0), text("+1", "+1.1"));
        assert_eq!(told(56.161_898_9, 56.161_901_2), text("+0.0000023", "+0.0000041"));
        assert_eq!(told(1.5e-9, 2.5e-9), text("+1.00000e-9", "+66.7"));
        assert_eq!(told(1.0, 1.0), text("0", "0"));
        assert_eq!(told(0.001, 5.0), text("+4.999", "+499900"));
        assert_eq!(told(1.0, 1.000_100_0), text("+0.0001", "+0.01"));
        assert_eq!(told(-2.0, -1.5), text("+0.5", "+25.0"));
    }
}
