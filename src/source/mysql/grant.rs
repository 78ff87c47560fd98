//! A grant as a server tells it.

/// Who holds a grant. The server looks for the most exact pattern among those of each by itself. The roles that an account has taken on count as
/// one, because a role has the patterns of those that it was given among its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Account,
    Role,
    Everybody,
}

impl Holder {
    pub(super) const ALL: [Self; 3] = [Self::Account, Self::Role, Self::Everybody];

    /// From what follows the scope of a grant: ` TO name@host …`, ` TO role …`, ` TO PUBLIC …`.
    fn of(rest: &str) -> Self {
        let name = [" TO ", " FROM "].iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
        if name.split_whitespace().next() == Some("PUBLIC") {
            return Self::Everybody;
        }
        let quote = name.chars().next().filter(|first| ['`', '\'', '"'].contains(first));
        let after = match quote.and_then(|quote| quoted_part(name, quote)) {
            Some((_, rest)) => rest,
            None => name.trim_start_matches(|c: char| c != '@' && !c.is_whitespace()),
        };
        if after.starts_with('@') { Self::Account } else { Self::Role }
    }
}

/// Rights on all databases, on those of a pattern, or on a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) holder: Holder,
    pub(super) rights: Vec<String>,
    /// `*` for all databases, else a pattern.
    pub(super) database: String,
    /// `*` for all of it, else a table.
    pub(super) table: String,
}

impl Grant {
    pub(super) fn gives(&self, right: &str) -> bool {
        self.rights.iter().any(|given| given == right || given == "ALL PRIVILEGES")
    }

    /// Reads `GRANT a, b ON c TO d`, or another statement of this form; `None` for roles, for columns, and for rights on routines.
    pub(super) fn read(line: &str, verb: &str) -> Option<Self> {
        let rest = line.strip_prefix(verb)?;
        let (rights, scope) = rest.split_once(" ON ")?;
        let (database, rest) = part(scope)?;
        let (table, rest) = part(rest.strip_prefix('.')?)?;
        // MySQL 8 writes no blanks between those that only some servers have.
        let rights = rights.split(',').filter(|right| !right.contains(['(', ')'])).map(|right| right.trim().to_uppercase()).collect();
        Some(Self { holder: Holder::of(rest), rights, database, table })
    }
}

/// A name in backticks, or `*`, at the beginning of a text; and what follows.
fn part(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some(("*".to_owned(), rest));
    }
    quoted_part(text, '`')
}

/// A name in these quotes at the beginning of a text; and what follows.
fn quoted_part(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text.strip_prefix(quote)?;
    loop {
        let end = rest.find(quote)?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_grant_is_read_whatever_the_names_hold() {
        for (line, holder) in [
            ("GRANT SELECT ON `x`.* TO `u`@`%`", Holder::Account),
            ("GRANT SELECT ON `x`.* TO 'u'@'localhost' WITH GRANT OPTION", Holder::Account),
            ("GRANT SELECT ON `x`.* TO u@localhost", Holder::Account),
            ("GRANT SELECT ON `x`.* TO ''@'%'", Holder::Account),
            ("GRANT SELECT ON `x`.* TO `a``@b`", Holder::Role),
            ("GRANT SELECT ON `x`.* TO `r` WITH GRANT OPTION", Holder::Role),
            ("GRANT SELECT ON `x`.* TO `PUBLIC`@`%`", Holder::Account),
            ("GRANT SELECT ON *.* TO PUBLIC", Holder::Everybody),
        ] {
            assert_eq!(Grant::read(line, "GRANT ").unwrap().holder, holder, "{line}");
        }
    }
}
