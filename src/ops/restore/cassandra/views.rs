//! Views and indexes of tables that come, which have files of another moment than those of their tables: indexes are built anew, and views where the
//! node is alone.

use super::node_plan::bounded;
use super::survey::Survey;
use crate::ops::Error;
use crate::ops::undo::cassandra::stopped::Site;
use crate::ops::undo::cassandra::{PendingStopped, views_as_they_were};
use crate::source::cassandra::missing::{Comparison, Element};
use crate::source::cassandra::{Expected, Kind, Schema};
use crate::sys::tree::remove_tree;

/// What a person should know of views that come, or, where the node is alone, are made anew: the node takes its snapshot table by table.
pub(super) fn told_views(comparison: &Comparison, are_anew: bool) -> Option<String> {
    let views = comparison.compared.iter().filter(|one| one.element == Element::View && one.id.is_some());
    let names: Vec<String> = views.map(|view| format!("{}.{}", view.keyspace, view.name)).collect();
    if names.is_empty() {
        return None;
    }
    let names = bounded(names).join(", ");
    Some(if are_anew {
        format!(
            "the node makes views anew from their tables, once these are in place, and until that is done rows are lacking in them: {names}. Where it asks \
             for a login, that takes the role of a superuser; to any other one they come as the snapshot has them"
        )
    } else {
        format!(
            "views come as the snapshot has them ({names}), which the node takes of one table after the other: of what was written at that moment, a view may \
             have rows that its table has not, or lack some that it has, for good. Where that matters, drop the view afterwards and make it anew, as \
             `schema.cql` of its keyspace has it, with its ID: the node fills it from its table"
        )
    })
}

/// What a person should know of indexes with SSTables of their own, which a node builds only once it answers.
pub(super) fn told_indexes(survey: &Survey) -> Option<String> {
    (!survey.indexes.is_empty()).then(|| {
        let names = bounded(survey.indexes.iter().cloned().collect()).join(", ");
        format!("the node builds these indexes anew when it is started, and until that is done they find too little, or nothing: {names}")
    })
}

/// Leaves the files of views out, so that the node makes the views anew once it is started. Where it does not take that, they come as the snapshot
/// has them.
pub(super) fn leave_views_out(site: &Site<'_>, pending: &mut PendingStopped, schema: &Schema) -> Result<(), Error> {
    let Site { ctx, spec, settings, ground, .. } = site;
    let is_view = |expected: &Expected| {
        let of = schema.keyspaces.iter().find(|keyspace| keyspace.name == expected.keyspace);
        of.is_some_and(|of| of.tables.iter().any(|table| table.kind == Kind::View && table.id == expected.id))
    };
    let views: Vec<(String, String)> =
        pending.expected.iter().filter(|one| is_view(one)).map(|one| (one.keyspace.clone(), one.name.clone())).collect();
    if let Some(why) = ground.control(ctx, settings, &ctx.stop).may_make_views(&views)? {
        ctx.warn(Some(&spec.name), views_as_they_were(&why));
        return Ok(());
    }
    for (change, expected) in pending.exchange.tables.iter_mut().zip(&mut pending.expected).filter(|(_, expected)| is_view(expected)) {
        expected.has_rows = false;
        let Some(folder) = change.incoming.take() else { continue };
        for root in &pending.exchange.roots {
            remove_tree(&root.incoming.join(&change.keyspace).join(&folder))?;
        }
    }
    pending.anew = views;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cassandra::missing::{Definitions, Part};

    #[test]
    fn views_that_come_are_told_and_those_that_only_the_node_has_are_not() {
        let table = "CREATE TABLE k.t (id int PRIMARY KEY, v text) WITH ID = 01234567-89ab-cdef-0123-456789abcdef;";
        let view = "CREATE MATERIALIZED VIEW k.w AS SELECT * FROM k.t WHERE v IS NOT NULL PRIMARY KEY (v, id) \
                    WITH ID = 11111111-89ab-cdef-0123-456789abcdef;";
        let with = |more: &str| Definitions::read(&[("k".into(), format!("{table}{more}"))]).unwrap();
        let told = |recorded: &Definitions, live: &Definitions| told_views(&Comparison::of(recorded, live, &Part::All).unwrap(), false);
        assert!(told(&with(view), &Definitions::default()).unwrap().contains("(k.w)"));
        assert!(told(&with(view), &with(view)).is_some());
        assert_eq!(told(&with(""), &with(view)), None);
    }
}
