use super::*;

fn row(source: &str, minute: i64, manifest: Option<u32>) -> Row {
    let id = SnapshotId::from_timestamp(Timestamp::from_second(1_795_000_000 + minute * 60).unwrap());
    Row {
        id,
        node: "n".parse().unwrap(),
        source: source.parse().unwrap(),
        kind: "directory".into(),
        time: id.to_timestamp(),
        place: if manifest.is_some() { Place::Shipped } else { Place::Local },
        files: 1,
        bytes: u64::MAX,
        stored_bytes: manifest.map(|_| 900),
        added_bytes: None,
        problems: vec![ProblemCount { kind: "changed".into(), count: 2 }],
        future: minute == 7,
        manifest,
    }
}

fn by_id(rows: &[Row]) -> BTreeMap<Id, Row> {
    rows.iter().map(|row| ((row.source.clone(), row.id), row.clone())).collect()
}

fn all(rows: &Rows) -> Vec<Row> {
    rows.iter().map(Result::unwrap).collect()
}

#[test]
fn rows_come_in_order_wherever_they_lie_and_as_often_as_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    // More than stay in memory.
    let shipped: Vec<Row> = ["a", "b"].iter().flat_map(|source| (0..400).map(|n| row(source, n * 2, Some(3)))).collect();
    let local: Vec<Row> = ["0", "a", "b", "c"].iter().flat_map(|source| [-1, 7, 9000].map(|n| row(source, n, None))).collect();
    let late = [row("a", 501, Some(1)), row("b", 9001, Some(2))];
    let mut writer = RowsWriter::new(folder.path(), by_id(&local));
    shipped.iter().chain(&late).for_each(|row| writer.push(row.clone()).unwrap());
    let rows = writer.finish().unwrap();
    let mut expected = [shipped, local, late.to_vec()].concat();
    expected.sort_by(|a, b| (&a.source, a.id).cmp(&(&b.source, b.id)));
    assert_eq!((rows.len(), rows.is_empty()), (expected.len(), false));
    assert!(all(&rows) == expected && all(&rows) == expected);
}

#[test]
fn the_row_of_a_local_copy_is_there_once() {
    let (local, shipped) = (row("a", 1, None), row("a", 1, Some(1)));
    let id = (local.source.clone(), local.id);
    let mut writer = RowsWriter::new(Path::new("/nonexistent"), by_id(&[local.clone()]));
    assert_eq!((writer.take_local(&id), writer.take_local(&id)), (Some(local), None));
    writer.push(shipped.clone()).unwrap();
    assert_eq!(all(&writer.finish().unwrap()), [shipped]);
}

#[test]
fn damage_is_told_of_the_manifest_that_has_it_and_of_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [row("a", 1, Some(1)), row("a", 2, Some(2)), row("b", 1, Some(1)), row("b", 2, None)];
    let mut writer = RowsWriter::new(folder.path(), BTreeMap::new());
    rows.iter().for_each(|row| writer.push(row.clone()).unwrap());
    let mut read = writer.finish().unwrap();
    let manifest = |row: &Row, n| (row.source.clone(), row.id, n);
    read.mark([manifest(&rows[0], 1), manifest(&rows[1], 1), manifest(&rows[3], 1)].into());
    let damaged: Vec<bool> = all(&read).iter().map(|row| row.problems.iter().any(|problem| problem.kind == DAMAGED_MANIFEST)).collect();
    assert_eq!(damaged, [true, false, false, false]);
}

#[test]
fn a_row_that_cannot_be_read_is_an_error_and_no_row_less() {
    let mut spool = spool::Writer::new(Path::new("/work"), MEMORY);
    spool.push(b"[null,{}]").unwrap();
    let rows = Rows { spool: spool.finish().unwrap(), folder: "/work".into(), ..Rows::default() };
    let error = rows.iter().collect::<Result<Vec<_>, _>>().unwrap_err();
    assert!(error.to_string().contains("a temporary file in /work"), "{error}");
}
