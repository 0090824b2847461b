//! Years, dates and times, as seconds since 1970.
//!
//! *Invariant:* what [`time_in_words`] writes, [`seconds`] reads back.

/// Seconds since 1970 of a year, a date or a UTC time.
pub fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let (sign, digits) = date.strip_prefix('-').map_or((1, date), |rest| (-1, rest));
    let mut parts = digits.split('-').map(|part| part.parse::<i64>().ok().filter(|n| *n >= 0));
    let year = sign * parts.next()??;
    let month = parts.next().map_or(Some(1), |part| part)?;
    let day = parts.next().map_or(Some(1), |part| part)?;
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && year.abs() < 100_000;
    if !valid || parts.next().is_some() {
        return None;
    }
    let mut clock = time.trim_end_matches('Z').split(':').filter(|part| !part.is_empty());
    let mut unit = |bound: i64| match clock.next() {
        None => Some(0),
        Some(part) => part.parse::<i64>().ok().filter(|n| (0..bound).contains(n)),
    };
    let within_day = unit(24)? * 3600 + unit(60)? * 60 + unit(61)?;
    Some(days_from_civil(year, month, day) * 86_400 + within_day)
}

/// Days since 1970-01-01 in the Gregorian calendar; years start in March so that leap days come
/// last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A time as [`seconds`] reads it: a date, or a date and a UTC time.
pub fn time_in_words(time: i64) -> String {
    let (days, second) = (time.div_euclid(86_400), time.rem_euclid(86_400));
    // The year's days are found by trying: days_from_civil is exact and its inverse is a search.
    let mut year = 1970 + days.div_euclid(366).min(days.div_euclid(365));
    while days_from_civil(year + 1, 1, 1) <= days {
        year += 1;
    }
    let month = (2..=12).take_while(|month| days_from_civil(year, *month, 1) <= days).last();
    let month = month.unwrap_or(1);
    let day = days - days_from_civil(year, month, 1) + 1;
    let date = format!("{year:04}-{month:02}-{day:02}");
    if second == 0 {
        return date;
    }
    format!("{date}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_seconds() {
        assert_eq!(seconds("1970"), Some(0));
        assert_eq!(seconds("2000-03-01"), Some(951_868_800));
        assert_eq!(seconds("1970-01-02T01:00:01Z"), Some(90_001));
        assert_eq!(seconds("1969-12-31"), Some(-86_400));
        for time in [0, 951_868_800, 90_001, -86_400, -157_766_401, -62_135_596_800, 1_709_164_800]
        {
            assert_eq!(seconds(&time_in_words(time)), Some(time), "{}", time_in_words(time));
        }
        for nonsense in ["", "May", "2000-13-01", "2000-01-01T25:00:00", "1-2-3-4"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
