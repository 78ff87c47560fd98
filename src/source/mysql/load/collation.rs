//! Collations of one vendor that another does not have, and what comes nearest to them.
//!
//! MySQL 8 orders by UCA 9.0.0 (`utf8mb4_0900_ai_ci`), MariaDB from 10.10 by UCA 14.0.0 (`utf8mb4_uca1400_ai_ci`), everyone by UCA 5.2.0
//! (`utf8mb4_unicode_520_ci`). MariaDB itself reads the first as the second where it is told to (MDEV-20912), by the table below. What pads
//! with spaces may become what does not, as values that differ go on to differ; the other way is the last resort.

/// Languages as MySQL abbreviates them, and as MariaDB names them.
const LANGUAGES: [(&str, &str); 21] = [
    ("cs", "czech"),
    ("da", "danish"),
    ("de_pb", "german2"),
    ("eo", "esperanto"),
    ("es", "spanish"),
    ("es_trad", "spanish2"),
    ("et", "estonian"),
    ("hr", "croatian"),
    ("hu", "hungarian"),
    ("is", "icelandic"),
    ("la", "roman"),
    ("lt", "lithuanian"),
    ("lv", "latvian"),
    ("nb", "danish"),
    ("pl", "polish"),
    ("ro", "romanian"),
    ("sk", "slovak"),
    ("sl", "slovenian"),
    ("sv", "swedish"),
    ("tr", "turkish"),
    ("vi", "vietnamese"),
];

/// What a collation is, of those that are turned.
struct Traits<'c> {
    set: &'c str,
    /// As MariaDB names it, if it is of one.
    language: Option<&'c str>,
    pads: bool,
    /// `ai_ci`, `as_ci`, `as_cs`, `ai_cs` or `bin`.
    strength: &'c str,
}

impl<'c> Traits<'c> {
    fn of(name: &'c str) -> Option<Self> {
        if let Some((before, after)) = name.split_once("_0900_") {
            let (set, language) = before.split_once('_').map_or((before, None), |(set, language)| (set, Some(language)));
            let language = language.and_then(|ours| LANGUAGES.iter().find(|(short, _)| *short == ours).map(|(_, long)| *long));
            // The one for Japanese can tell kinds of kana too.
            let strength = after.strip_suffix("_ks").unwrap_or(after);
            return Some(Self { set, language, pads: false, strength });
        }
        let (set, after) = name.split_once("_uca1400_")?;
        let (rest, strength) = match after.len().checked_sub("ai_ci".len()) {
            Some(at) if after.is_char_boundary(at) => after.split_at(at),
            _ => return None,
        };
        let (rest, pads) = rest.strip_suffix("nopad_").map_or((rest, true), |rest| (rest, false));
        Some(Self { set, language: rest.strip_suffix('_'), pads, strength })
    }

    /// From the nearest on.
    fn near(&self) -> Vec<String> {
        let (set, strength) = (self.set, self.strength);
        let mut near = Vec::new();
        if strength == "bin" {
            near.extend([format!("{set}_0900_bin"), format!("{set}_nopad_bin"), format!("{set}_bin")]);
            return near;
        }
        for language in [self.language, None] {
            let long = language.map(|language| format!("{language}_")).unwrap_or_default();
            if self.pads {
                near.push(format!("{set}_uca1400_{long}{strength}"));
            }
            near.push(format!("{set}_uca1400_{long}nopad_{strength}"));
            let short = LANGUAGES.iter().find(|(_, name)| Some(*name) == language).map(|(short, _)| format!("{short}_"));
            if language.is_none() || short.is_some() {
                near.push(format!("{set}_{}0900_{strength}", short.unwrap_or_default()));
            }
            if strength == "ai_ci" {
                near.extend(language.map(|language| format!("{set}_{language}_ci")));
            }
        }
        match strength {
            "ai_ci" if self.pads => near.extend(["unicode_520_ci", "unicode_ci"].map(|order| format!("{set}_{order}"))),
            "ai_ci" => near.extend(["unicode_520_nopad_ci", "unicode_520_ci", "unicode_ci"].map(|order| format!("{set}_{order}"))),
            // What tells accents or cases apart must go on doing so, or keys that differ would be one.
            _ => near.extend(["nopad_bin", "bin"].map(|order| format!("{set}_{order}"))),
        }
        near
    }
}

/// The collation that comes nearest to this one among those that are there; none when there is none near.
pub(super) fn nearest(name: &str, is_there: &dyn Fn(&str) -> bool) -> Option<String> {
    let name = name.to_ascii_lowercase();
    if let Some(near) = Traits::of(&name).map(|traits| traits.near()) {
        // The character set of three bytes has an old and a new name.
        let both = near.into_iter().flat_map(|near| [near.replacen("utf8mb3_", "utf8_", 1), near]);
        return both.into_iter().find(|near| *near != name && is_there(near));
    }
    let other = match name.strip_prefix("utf8mb3_") {
        Some(order) => format!("utf8_{order}"),
        None => format!("utf8mb3_{}", name.strip_prefix("utf8_")?),
    };
    is_there(&other).then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(name: &str, there: &[&str]) -> Option<String> {
        nearest(name, &|near| there.contains(&near))
    }

    #[test]
    fn what_is_nearest_is_taken_first() {
        let old = ["utf8mb4_bin", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci", "utf8mb4_german2_ci"];
        let mariadb = [&old[..], &["utf8mb4_nopad_bin", "utf8mb4_unicode_520_nopad_ci"]].concat();
        let newer =
            [&mariadb[..], &["utf8mb4_uca1400_ai_ci", "utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_uca1400_german2_nopad_as_cs"]].concat();
        let mysql = [&old[..], &["utf8mb4_0900_ai_ci", "utf8mb4_0900_bin", "utf8mb4_0900_as_cs", "utf8mb4_de_pb_0900_ai_ci"]].concat();
        for (name, there, wanted) in [
            ("utf8mb4_0900_ai_ci", &newer, "utf8mb4_uca1400_nopad_ai_ci"),
            ("utf8mb4_0900_ai_ci", &mariadb, "utf8mb4_unicode_520_nopad_ci"),
            ("UTF8MB4_0900_AI_CI", &old.to_vec(), "utf8mb4_unicode_520_ci"),
            ("utf8mb4_de_pb_0900_as_cs", &newer, "utf8mb4_uca1400_german2_nopad_as_cs"),
            ("utf8mb4_de_pb_0900_ai_ci", &mariadb, "utf8mb4_german2_ci"),
            ("utf8mb4_ja_0900_as_cs_ks", &mariadb, "utf8mb4_nopad_bin"),
            ("utf8mb4_0900_bin", &mariadb, "utf8mb4_nopad_bin"),
            ("utf8mb4_uca1400_ai_ci", &mysql, "utf8mb4_0900_ai_ci"),
            ("utf8mb4_uca1400_german2_nopad_ai_ci", &mysql, "utf8mb4_de_pb_0900_ai_ci"),
            ("utf8mb4_uca1400_as_cs", &mysql, "utf8mb4_0900_as_cs"),
            ("utf8mb4_uca1400_as_ci", &mysql, "utf8mb4_bin"),
            ("utf8mb4_uca1400_ai_ci", &mariadb, "utf8mb4_unicode_520_ci"),
        ] {
            assert_eq!(among(name, there).as_deref(), Some(wanted), "{name}");
        }
        assert_eq!(among("utf8mb3_general_ci", &["utf8_general_ci"]).as_deref(), Some("utf8_general_ci"));
        assert_eq!(among("utf8mb3_uca1400_ai_ci", &["utf8_unicode_ci"]).as_deref(), Some("utf8_unicode_ci"));
        assert_eq!(among("utf8_bin", &["utf8mb3_bin"]).as_deref(), Some("utf8mb3_bin"));
        assert_eq!(among("gb18030_chinese_ci", &old), None);
        assert_eq!(among("utf8mb4_0900_ai_ci", &["latin1_bin"]), None);
    }
}
