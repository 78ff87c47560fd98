//! When a source is due, in civil time: a time of day, or a cron expression of five fields.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, ToSpan};

/// What a pattern looks like, for a person who wrote something else.
const FORM: &str = "a time of day such as \"03:30\", or a cron expression of five fields (minute, hour, day of the month, month, day of the \
                    week) such as \"0 3 * * mon-fri\"";

/// A time of day, or a cron expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    written: String,
    when: When,
}

#[derive(Clone, Debug)]
enum When {
    Daily(Time),
    Cron(Box<Cron>),
}

impl Pattern {
    /// Every day at midnight, as the scripts did that this program replaces.
    pub fn midnight() -> Self {
        Self { written: "00:00".to_owned(), when: When::Daily(Time::midnight()) }
    }

    /// The first one after this, if there is any within the years that calendars have.
    pub fn after(&self, wall: DateTime) -> Option<DateTime> {
        match &self.when {
            When::Daily(time) => {
                let today = wall.date().to_datetime(*time);
                if today > wall { Some(today) } else { today.checked_add(1.day()).ok() }
            }
            When::Cron(cron) => Some(cron.find_next_occurrence(&Wall(wall), false).ok()?.0),
        }
    }

    /// The last one until this, which may be this one.
    pub fn until(&self, wall: DateTime) -> Option<DateTime> {
        match &self.when {
            When::Daily(time) => {
                let today = wall.date().to_datetime(*time);
                if today <= wall { Some(today) } else { today.checked_sub(1.day()).ok() }
            }
            When::Cron(cron) => Some(cron.find_previous_occurrence(&Wall(wall), true).ok()?.0),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_time = text.len() == 5 && text.as_bytes()[2] == b':';
        let when = if is_time {
            let parts = text.split_once(':').and_then(|(hour, minute)| Some((number(hour)?, number(minute)?)));
            let time = parts.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok());
            When::Daily(time.ok_or_else(|| format!("`{text}` is no time of day: they go from 00:00 to 23:59"))?)
        } else {
            let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
            let cron = parser.parse(text).map_err(|cause| format!("this is not understood ({cause}): write {FORM}"))?;
            When::Cron(Box::new(cron))
        };
        let pattern = Self { written: text.to_owned(), when };
        // Whatever the year is: a pattern that has one comes round within the eight years that leap days may be apart.
        let some_day = Date::constant(2026, 1, 1).to_datetime(Time::midnight());
        match pattern.after(some_day) {
            Some(_) => Ok(pattern),
            None => Err(format!("`{text}` names a day that no calendar has: it would never be due")),
        }
    }
}

fn number(digits: &str) -> Option<i8> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// A clock on the wall, as the search for cron's next time wants it. It knows of no zone: which instant is meant is for [`super::schedule`].
#[derive(Clone)]
struct Wall(DateTime);

impl CronDateTime for Wall {
    fn to_civil(&self) -> CivilDateTime {
        let (date, time) = (self.0.date(), self.0.time());
        let part = |value: i8| u32::try_from(value).expect("parts of a date and a time are not negative");
        let [month, day] = [date.month(), date.day()].map(part);
        let [hour, minute, second] = [time.hour(), time.minute(), time.second()].map(part);
        CivilDateTime::from_ymd_hms_opt(date.year().into(), month, day, hour, minute, second).expect("it is one of jiff")
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::try_from(self.0.weekday().to_sunday_zero_offset()).expect("it is 0 to 6"))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |value: u32| i8::try_from(value).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let date = Date::new(year, part(civil.month())?, part(civil.day())?).map_err(|_| CronError::InvalidDate)?;
        let (hour, minute, second) = (part(civil.hour())?, part(civil.minute())?, part(civil.second())?);
        let time = Time::new(hour, minute, second, 0).map_err(|_| CronError::InvalidTime)?;
        Ok(Resolution::Single(Self(date.to_datetime(time))))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_of_day_comes_once_a_day() {
        let daily = pattern("03:30");
        assert_eq!(daily.after(wall("2026-02-28T03:29")), Some(wall("2026-02-28T03:30")));
        assert_eq!(daily.after(wall("2026-02-28T03:30")), Some(wall("2026-03-01T03:30")));
        assert_eq!(daily.until(wall("2026-02-28T03:30")), Some(wall("2026-02-28T03:30")));
        assert_eq!(daily.until(wall("2026-03-01T03:29:59")), Some(wall("2026-02-28T03:30")));
        assert_eq!(Pattern::midnight().after(wall("2026-12-31T00:00")), Some(wall("2027-01-01T00:00")));
    }

    #[test]
    fn a_cron_expression_is_read_as_cron_reads_it() {
        let weekdays = pattern("*/20 3 * * mon-fri");
        assert_eq!(weekdays.after(wall("2026-11-27T03:40")), Some(wall("2026-11-30T03:00")), "a Saturday and a Sunday lie between");
        assert_eq!(weekdays.until(wall("2026-11-30T02:59")), Some(wall("2026-11-27T03:40")));
        assert_eq!(pattern("@daily").after(wall("2026-11-27T00:00")), Some(wall("2026-11-28T00:00")));
        assert_eq!(pattern("0 4 29 2 *").after(wall("2026-01-01T00:00")), Some(wall("2028-02-29T04:00")));
        // Day of the month and of the week: either will do, as POSIX has it.
        assert_eq!(pattern("0 0 13 * fri").after(wall("2026-11-27T12:00")), Some(wall("2026-12-04T00:00")));
    }

    #[test]
    fn what_is_neither_is_refused_with_what_to_write() {
        for (text, because) in [
            ("24:00", "00:00 to 23:59"),
            ("-1:00", "00:00 to 23:59"),
            ("daily", "a time of day such as"),
            ("", "a time of day such as"),
            ("0 3 * *", "five fields"),
            ("0 0 3 * * *", "five fields"),
            ("61 3 * * *", "five fields"),
            ("0 0 30 2 *", "never be due"),
        ] {
            let why = text.parse::<Pattern>().unwrap_err();
            assert!(why.contains(because), "{text}: {why}");
        }
    }
}
