//! Time zones by their names, and what was meant by a name that is none.

use jiff::tz::{self, TimeZone};

use super::error::ScheduleError;
use super::windows;

/// The zone of this name in the IANA database, or UTC, with its name as the database writes it.
pub(super) fn find(name: Option<&str>) -> Result<(TimeZone, String), ScheduleError> {
    let Some(name) = name else { return Ok((TimeZone::UTC, "UTC".to_owned())) };
    let zone = name.to_owned();
    let Ok(found) = tz::db().get(name) else {
        let empty = tz::db().available().next().is_none();
        return Err(if empty {
            ScheduleError::NoDatabase { zone }
        } else {
            ScheduleError::UnknownZone { zone }
        });
    };
    match found.iana_name() {
        Some(name) if !is_alien(name) => {
            let name = name.to_owned();
            Ok((found, name))
        }
        _ => Err(ScheduleError::UnknownZone { zone }),
    }
}

/// Whether this is a file of the system's database but no zone: copies of all zones, some with leap seconds, and files without a place.
fn is_alien(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let no_zone = ["right", "posix", "posixrules", "localtime", "factory"].contains(&first.as_str());
    no_zone || name.eq_ignore_ascii_case("etc/unknown")
}

/// What may have been meant by a name that is no zone.
pub(super) fn hint(name: &str) -> Option<String> {
    if let Some(zone) = windows::zone(name) {
        return Some(format!("that is a name of Windows: write \"{zone}\""));
    }
    if let Some(zone) = fixed(name) {
        return Some(format!(
            "this offset is \"{zone}\", whose sign is turned round; a place such as \"Europe/Berlin\" also knows summer time"
        ));
    }
    let names = nearest(name);
    if names.is_empty() {
        if (2..=5).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(
                "an abbreviation does not tell where: write a place, such as \"America/New_York\"".to_owned(),
            );
        }
        return Some("write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"".to_owned());
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    Some(format!("did you mean {}?", quoted.join(" or ")))
}

/// The zone of a fixed offset from UTC in full hours, such as `+02:00` or `UTC+2`.
fn fixed(name: &str) -> Option<String> {
    let offset = name.trim_start_matches("UTC").trim_start_matches("GMT");
    let sign = if offset.starts_with('+') { '-' } else { '+' };
    let hours = offset.strip_prefix(['+', '-'])?;
    let hours = hours.strip_suffix(":00").or_else(|| hours.strip_suffix("00")).unwrap_or(hours);
    let zone = format!("Etc/GMT{sign}{}", hours.parse::<u8>().ok()?);
    tz::db().get(&zone).is_ok().then_some(zone)
}

/// Up to three zones whose name, or whose place, is written much like this. Short names are too like each other to guess.
fn nearest(name: &str) -> Vec<String> {
    let wanted = name.to_lowercase().replace(' ', "_");
    let most = (wanted.chars().count() / 5).min(3);
    let mut near: Vec<(usize, String)> = tz::db()
        .available()
        .map(|known| known.as_str().to_owned())
        .filter(|known| !is_alien(known))
        .filter_map(|known| {
            let folded = known.to_lowercase();
            let place = folded.rsplit('/').next().unwrap_or_default();
            let distance = strsim::damerau_levenshtein(&wanted, &folded);
            let distance = distance.min(strsim::damerau_levenshtein(&wanted, place));
            (!wanted.is_empty() && distance <= most).then_some((distance, known))
        })
        .collect();
    near.sort();
    let best = near.first().map(|(distance, _)| *distance);
    near.into_iter().filter(|(distance, _)| Some(*distance) == best).map(|(_, name)| name).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_the_names_of_the_database() {
        let name = |zone| find(zone).unwrap().1;
        assert_eq!(name(None), "UTC");
        assert_eq!(name(Some("UTC")), "UTC");
        assert_eq!(name(Some("europe/berlin")), "Europe/Berlin");
        assert_eq!(name(Some("Asia/Calcutta")), "Asia/Calcutta");
        for zone in ["EST", "CET", "EST5EDT", "Etc/GMT-2", "GMT", "GB"] {
            assert_eq!(name(Some(zone)), zone);
        }
    }

    #[test]
    fn the_names_of_windows_lead_to_zones() {
        for (windows, zone) in windows::ZONES {
            assert!(find(Some(zone)).is_ok(), "{windows}: {zone}");
        }
        assert!(windows::ZONES.is_sorted_by_key(|(windows, _)| windows.to_lowercase()));
    }

    #[test]
    fn a_zone_that_is_not_known_is_guessed() {
        for (zone, hint) in [
            ("Europe/Berlni", "did you mean \"Europe/Berlin\"?"),
            ("Berlin", "did you mean \"Europe/Berlin\"?"),
            ("new york", "did you mean \"America/New_York\"?"),
            ("W. Europe Standard Time", "that is a name of Windows: write \"Europe/Berlin\""),
            ("gmt standard time", "that is a name of Windows: write \"Europe/London\""),
            ("CEST", "an abbreviation does not tell where: write a place, such as \"America/New_York\""),
            ("PST", "an abbreviation does not tell where: write a place, such as \"America/New_York\""),
            (
                "UTC+2",
                "this offset is \"Etc/GMT-2\", whose sign is turned round; a place such as \"Europe/Berlin\" also knows summer time",
            ),
            (
                "+02:00",
                "this offset is \"Etc/GMT-2\", whose sign is turned round; a place such as \"Europe/Berlin\" also knows summer time",
            ),
            ("Z", "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\""),
            ("", "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\""),
            ("Mars/Olympus_Mons", "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\""),
            (
                "right/Europe/Berlin",
                "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
            ),
            (
                "posix/Europe/Berlin",
                "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
            ),
            ("localtime", "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\""),
            ("../etc/passwd", "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\""),
            ("Etc/Unknown", "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\""),
            ("Factory", "write a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\""),
            ("GMT+25", "did you mean \"Etc/GMT+2\" or \"Etc/GMT+5\"?"),
            ("Asia/Calcuta", "did you mean \"Asia/Calcutta\"?"),
            ("Europe/Berlin ", "did you mean \"Europe/Berlin\"?"),
        ] {
            let error = find(Some(zone)).unwrap_err();
            assert_eq!(error.to_string(), format!("there is no time zone \"{zone}\""));
            assert_eq!(error.hint().unwrap_or_default(), hint);
        }
    }
}
