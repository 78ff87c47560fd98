//! What becomes of the names of tables on a server that compares them in another way.

use std::collections::BTreeMap;

use crate::source::mysql::facts::Facts;
use crate::source::mysql::object::quoted;

/// Most tables that are named.
const NAMED: usize = 5;

/// Whether the tables of a dump can be put on a server with this `lower_case_table_names`: `Err` says why not, else come things to know.
pub(super) fn compare(facts: &Facts, here: &str) -> Result<Vec<String>, String> {
    let there = facts.lower_case_table_names.as_str();
    if there == here || there.is_empty() || here.is_empty() {
        return Ok(Vec::new());
    }
    let differ = format!("the server has lower_case_table_names = {here}, that of the dump had {there}");
    if here == "0" {
        return Ok(vec![format!("{differ}: views, routines and applications that write a name in another case will not find it")]);
    }
    let mut spoiled = Vec::new();
    for database in &facts.databases {
        let mut spellings: BTreeMap<String, &str> = BTreeMap::new();
        for table in &database.tables {
            let lower = table.name.to_lowercase();
            let told = || format!("{}.{}", quoted(&database.name), quoted(&table.name));
            // As 1 names are kept in lower case, so they are other names than the dump's; as 2 they are kept as they are.
            if here == "1" && lower != table.name {
                spoiled.push(format!("{} would be {}", told(), quoted(&lower)));
            } else if let Some(other) = spellings.insert(lower, &table.name) {
                spoiled.push(format!("{} and {} would be one", told(), quoted(other)));
            }
        }
    }
    if !spoiled.is_empty() {
        let more = spoiled.len().saturating_sub(NAMED);
        spoiled.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return Err(format!("{differ}: {}{more}; restore on a server that is set up as that of the dump", spoiled.join(", ")));
    }
    let is_partial = facts.databases.iter().any(|database| database.table_count > database.tables.len() as u64);
    Ok(if is_partial {
        vec![format!("{differ}: of the tables beyond the first 1,000 it is not known whether their names bear it")]
    } else {
        Vec::new()
    })
}
