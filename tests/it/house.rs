//! What the house looks like: layers, sizes, what may not stand in the tree, and documents that name what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Longest file of code, tests included: what a person still reads in one go.
const LINES_MAX: usize = 500;

/// Rooms, or folders of a room, and the crates that only they may name.
const OWNED: [(&str, &[&str]); 8] = [
    (
        "repository",
        &[
            "object_store",
            "reqwest",
            "md5",
            "quick_xml",
            "aws_config",
            "aws_credential_types",
            "aws_smithy_runtime_api",
            "aws_smithy_types",
        ],
    ),
    ("source/cassandra/scylladb", &["reqwest"]),
    ("archive", &["zstd", "tar", "fastcdc", "age", "age_core"]),
    ("source", &["sqlx", "scylla", "serde_saphyr"]),
    ("agent/http", &["axum", "hyper", "hyper_util", "prometheus_client"]),
    ("agent/notices", &["reqwest"]),
    ("sys", &["sd_notify"]),
    ("cli", &["clap", "clap_complete", "clap_mangen", "indicatif"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the tree.
struct Source {
    /// From the root of the tree.
    path: String,
    text: String,
}

impl Source {
    /// Its room, or the name of a file that lies beside the rooms.
    fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap();
        below.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// How many modules deep it is, the crate itself being 0.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count() - 1;
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("_tests.rs")
    }

    /// Its code without comments and texts, in two parts: what runs and what tests.
    fn code(&self) -> (String, String) {
        let code = code_of(&self.text);
        if self.is_test() {
            return (String::new(), code);
        }
        match code.find("#[cfg(test)]") {
            Some(at) => (code[..at].to_owned(), code[at..].to_owned()),
            None => (code, String::new()),
        }
    }
}

/// Every file of the tree that is text, but for what a build makes.
fn tree() -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if !matches!(below.as_str(), "target" | ".git" | "tests/golden") {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path)
                && below != ".git"
            {
                files.push(Source { path: below, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn sources() -> Vec<Source> {
    tree().into_iter().filter(|file| file.path.starts_with("src/") && file.path.ends_with(".rs")).collect()
}

/// Rust without comments and without what stands in quotes.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = raw_text(rest) {
            raw
        } else if next == '"' {
            quoted(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("b'\"'") {
            rest[1..].find('\'').unwrap() + 2
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// Length of a text in quotes that begins here.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a raw text that begins here.
fn raw_text(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix('r')?;
    let count = hashes.bytes().take_while(|byte| *byte == b'#').count();
    let inner = hashes[count..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(count));
    Some(1 + count + 1 + inner.find(&end).map_or(inner.len(), |at| at + end.len()))
}

/// Where `word` stands in `text` as a word of its own.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let part_of_a_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        let after = text.as_bytes().get(at + word.len());
        !part_of_a_name(before) && (!word.ends_with(|c: char| c.is_alphanumeric()) || !part_of_a_name(after))
    })
}

fn identifier(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())]
}

/// The rooms that code names through `crate::…`, also in braces.
fn named_rooms(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for at in words(code, "crate").filter(|at| code[at + 5..].starts_with("::")) {
        let after = code[at + 7..].trim_start();
        let Some(list) = after.strip_prefix('{') else {
            rooms.insert(identifier(after).to_owned());
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, c) in list.char_indices() {
            if begins && !c.is_whitespace() {
                rooms.insert(identifier(&list[at..]).to_owned());
                begins = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                _ => {}
            }
        }
    }
    rooms.remove("");
    rooms
}

/// What each room may use, and what its tests may use besides, from the table in `docs/ARCHITECTURE.md`.
fn layers() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| room | may use |")).skip(2).take_while(|line| line.starts_with('|'));
    let mut table = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let rooms: BTreeSet<String> = cells[1].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let (mut may, mut in_tests) = (rooms, BTreeSet::new());
        if cells[1] == "all above" {
            may = table.keys().cloned().collect();
        } else if cells[1].ends_with("in tests only") {
            std::mem::swap(&mut may, &mut in_tests);
        } else {
            assert!(!may.is_empty() || cells[1] == "nothing of ours", "a row that cannot be read: {row}");
        }
        assert!(table.insert(cells[0].trim_matches('`').to_owned(), (may, in_tests)).is_none(), "{row}");
    }
    table
}

#[test]
fn rooms_use_only_the_rooms_that_the_table_allows() {
    let table = layers();
    let rooms: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), rooms, "the table names the rooms that there are");
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| rooms.contains(file.room())) {
        let (may, in_tests) = &table[file.room()];
        let (runs, tests) = file.code();
        let allowed = |room: &str| room == file.room() || may.contains(room);
        wrong.extend(named_rooms(&runs).into_iter().filter(|room| !allowed(room)).map(|room| (file.path.clone(), room)));
        let allowed = |room: &str| allowed(room) || in_tests.contains(room);
        wrong.extend(named_rooms(&tests).into_iter().filter(|room| !allowed(room)).map(|room| (file.path.clone(), room)));
        let climbs = |code: &str, most: usize| words(code, "super").any(|at| code[at..].starts_with(&"super::".repeat(most)));
        if climbs(&runs, file.depth()) || climbs(&tests, file.depth() + 1) {
            wrong.push((file.path.clone(), "whatever `super::super` reaches outside its room".to_owned()));
        }
    }
    assert!(wrong.is_empty(), "files that use what their room may not: {wrong:#?}");
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    let main = code_of(&main);
    assert!(words(&main, "windlass").all(|at| main[at..].starts_with("windlass::cli")), "main names nothing but cli");
}

#[test]
fn crates_are_named_only_by_the_room_that_owns_them() {
    let mut wrong = Vec::new();
    for file in sources() {
        let code = code_of(&file.text);
        for (owner, name) in OWNED.iter().flat_map(|(owner, names)| names.iter().map(move |name| (owner, name))) {
            let mut owners = OWNED.iter().filter(|(_, names)| names.contains(name)).map(|(owner, _)| format!("src/{owner}"));
            let is_owned = owners.any(|owner| file.path.strip_prefix(&owner).is_some_and(|rest| rest.starts_with(['/', '.'])));
            if !is_owned && words(&code, name).any(|at| code[at + name.len()..].starts_with("::")) {
                wrong.push(format!("{} names {name}, which belongs to {owner}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_dependency_is_used() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let code: Vec<String> = tree().iter().filter(|file| file.path.ends_with(".rs")).map(|file| code_of(&file.text)).collect();
    let is_used = |name: &str| {
        let name = name.replace('-', "_");
        code.iter().any(|code| words(code, &name).any(|at| code[at + name.len()..].starts_with("::")))
    };
    let tables = ["dependencies", "dev-dependencies"].into_iter().filter_map(|table| manifest[table].as_table());
    let unused: Vec<&String> = tables.flat_map(toml::Table::keys).filter(|name| !is_used(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn no_file_of_code_is_too_long_to_be_read() {
    let code = [".rs", ".sh", "/run", "/install"];
    let long: Vec<String> = tree()
        .iter()
        .filter(|file| code.iter().any(|ending| file.path.ends_with(ending)))
        .map(|file| (file.text.lines().count(), &file.path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn nothing_is_left_for_later() {
    // In pieces, so that this file does not hold them.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["X", "XX"], ["HA", "CK"], ["dbg", "!("], ["todo", "!("], ["unimplemented", "!("], ["#[ign", "ore"]];
    let marks = marks.map(|parts| parts.concat());
    let mut left = Vec::new();
    for file in tree() {
        for (number, line) in file.text.lines().enumerate() {
            let found = marks
                .iter()
                .filter(|mark| words(line, mark).next().is_some() || (mark.ends_with(['(', 'e']) && line.contains(mark.as_str())));
            left.extend(found.map(|mark| format!("{}:{}: {mark}", file.path, number + 1)));
        }
    }
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn every_file_is_part_of_the_program_and_says_what_it_is() {
    let mut wrong = Vec::new();
    let files = sources();
    let texts: BTreeMap<&str, &str> = files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
    for file in &files {
        if !file.text.starts_with("//! ") && !file.is_test() {
            wrong.push(format!("{} does not begin by saying what it is", file.path));
        }
        if matches!(file.path.as_str(), "src/main.rs" | "src/lib.rs") {
            continue;
        }
        let (folder, name) = file.path.rsplit_once('/').unwrap();
        let declared = if file.is_test() {
            let by_path = format!("#[path = \"{name}\"]");
            let beside = |path: &str| path.rsplit_once('/').is_some_and(|(place, _)| place == folder);
            declares(&texts, folder, name) || texts.iter().any(|(path, text)| beside(path) && text.contains(&by_path))
        } else if name == "mod.rs" {
            let (above, name) = folder.rsplit_once('/').unwrap();
            declares(&texts, above, name)
        } else {
            declares(&texts, folder, name)
        };
        if !declared {
            wrong.push(format!("{} is no module of its folder", file.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_path_of_a_machine_that_built_it_is_in_the_tree() {
    let here = root().to_str().unwrap().to_owned();
    let home = std::env::var("HOME").unwrap_or_default();
    let mut places = vec![format!("{here}/"), "/home/".to_owned(), ["/.cargo", "/registry"].concat(), ["/.rus", "tup"].concat()];
    places.extend(Some(format!("{home}/")).filter(|_| !matches!(home.as_str(), "" | "/" | "/root")));
    let mut found = Vec::new();
    for file in tree().iter().filter(|file| file.path != "tests/it/house.rs") {
        for (number, line) in file.text.lines().enumerate() {
            let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_.-}>$~".contains(c));
            let names = |place: &String| line.match_indices(place.as_str()).any(|(at, _)| begins(at) || place.starts_with("/."));
            found.extend(places.iter().filter(|place| names(place)).map(|place| format!("{}:{}: {place}", file.path, number + 1)));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let foreign: Vec<&str> = lock
        .lines()
        .filter(|line| line.starts_with("source = ") && !line.contains("registry+https://github.com/rust-lang/crates.io-index"))
        .collect();
    assert!(foreign.is_empty(), "dependencies that do not come from crates.io: {foreign:?}");
}

/// Whether the folder's own file declares this module.
fn declares(texts: &BTreeMap<&str, &str>, folder: &str, name: &str) -> bool {
    let name = name.trim_end_matches(".rs");
    let own = if folder == "src" { "src/lib.rs".to_owned() } else { format!("{folder}/mod.rs") };
    let declared = format!("mod {name};");
    texts.get(own.as_str()).is_some_and(|text| words(text, &declared).next().is_some())
}

/// The documents for people.
fn documents() -> Vec<Source> {
    tree().into_iter().filter(|file| file.path.ends_with(".md")).collect()
}

/// A document without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect::<Vec<_>>().join("\n")
}

#[test]
fn documents_name_only_what_is_there() {
    let rooms: Vec<String> = layers().into_keys().collect();
    let (files, all) = (sources(), tree());
    let mut wrong = Vec::new();
    for document in documents() {
        let prose = prose(&document.text);
        for name in prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let first = name.split(['/', ':']).next().unwrap();
            let is_path = name.contains('/') && ["src", "docs", "tests", "deploy", "benches", ".ci"].contains(&first);
            let is_file = !name.contains(['/', ' ', '<', '*']) && [".md", ".rs", ".toml"].iter().any(|ending| name.ends_with(ending));
            let is_code = name.contains("::") && rooms.iter().any(|room| room == first);
            let holds = if is_path || (is_file && name.chars().next().is_some_and(|c| c.is_uppercase() || c == '.')) {
                root().join(name.split_whitespace().next().unwrap()).exists()
            } else if is_code {
                item_exists(&files, name)
            } else if document.path == "docs/DEFECTS.md" && name.contains('_') {
                let test = format!("fn {name}(");
                all.iter().any(|file| file.text.contains(&test))
            } else {
                true
            };
            if !holds {
                wrong.push(format!("{} names `{name}`, which is not there", document.path));
            }
        }
        wrong.extend(broken_links(&document, &prose));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether `room::module::Item` or `room::module` exists.
fn item_exists(files: &[Source], name: &str) -> bool {
    let parts: Vec<&str> = name.trim_end_matches("()").split("::").collect();
    let room = format!("src/{}/", parts[0]);
    parts[1..].iter().all(|part| {
        let is_module = |file: &Source| file.path.ends_with(&format!("/{part}.rs")) || file.path.ends_with(&format!("/{part}/mod.rs"));
        let kinds = ["struct", "enum", "trait", "fn", "const", "type"];
        let holds =
            |file: &Source| kinds.iter().any(|kind| words(&file.text, part).any(|at| file.text[..at].ends_with(&format!("{kind} "))));
        files.iter().filter(|file| file.path.starts_with(&room)).any(|file| is_module(file) || holds(file))
    })
}

/// Links of a document to files or headings that are not there.
fn broken_links(document: &Source, prose: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for (at, _) in prose.match_indices("](") {
        let target = prose[at + 2..].split(')').next().unwrap();
        if target.contains("://") {
            continue;
        }
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = match file {
            "" => root().join(&document.path),
            file => root().join(&document.path).parent().unwrap().join(file),
        };
        let there = match fs::read_to_string(&path) {
            Ok(text) => heading.is_empty() || headings(&text).contains(heading),
            Err(_) => path.is_dir() && heading.is_empty(),
        };
        if !there {
            broken.push(format!("{} links to {target}, which is not there", document.path));
        }
    }
    broken
}

/// The anchors of a document's headings.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = prose(text);
    let titles = lines.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles.map(|title| title.to_lowercase().chars().filter_map(anchor).collect()).collect()
}

fn anchor(c: char) -> Option<char> {
    match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    }
}

/// What a person reads who runs it.
fn manual() -> String {
    ["README.md", "docs/OPERATIONS.md"]
        .map(|file| fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}")))
        .concat()
}

#[test]
fn every_command_and_exit_code_is_in_the_manual() {
    let manual = manual();
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_windlass")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   ")).map(identifier).collect();
    assert!(commands.len() > 15, "the help names its commands: {help}");
    let missing: Vec<&&str> = commands.iter().filter(|name| **name != "help" && !manual.contains(&format!("windlass {name}"))).collect();
    assert!(missing.is_empty(), "commands that no document names: {missing:?}");

    let exits = fs::read_to_string(root().join("src/cli/exit.rs")).unwrap();
    let exits = code_of(&exits);
    let body = exits.split("pub enum Exit").nth(1).unwrap().split('}').next().unwrap();
    let codes: Vec<&str> = body.split("= ").skip(1).map(identifier).collect();
    assert!(codes.len() >= 10, "{body}");
    let missing: Vec<&&str> = codes
        .iter()
        .filter(|code| !manual.lines().any(|line| line.starts_with('|') && words(line.split('|').nth(1).unwrap(), code).next().is_some()))
        .collect();
    assert!(missing.is_empty(), "exit codes that no table names: {missing:?}");
}

#[test]
fn the_checks_of_this_file_find_what_they_look_for() {
    let code = code_of(
        "use crate::ops; // crate::cli\nlet x = \"crate::cli\\\" crate::cli\"; r#\"crate::cli\"#; use crate::{sys::{clock, lock}, format}; '\"'",
    );
    assert_eq!(named_rooms(&code).into_iter().collect::<Vec<_>>(), ["format", "ops", "sys"]);
    assert_eq!(words("tar::x target::y star::z tar", "tar").count(), 2);
    let table = layers();
    assert!(table["source"].0.contains("sys") && !table["source"].0.contains("archive"), "{table:?}");
    assert!(table["cli"].0.contains("config") && table["sys"].0.is_empty() && table["sys"].1.contains("format"));
    assert!(headings("# A b\n## Restore by hand\n").contains("restore-by-hand"));
}
