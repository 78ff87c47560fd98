use std::io::{Cursor, Write};

use proptest::prelude::*;
use zstd::zstd_safe::CParameter;

use super::super::LineWriter;
use super::*;

fn written(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = LineWriter::new(Vec::new(), 3).unwrap();
    lines.iter().for_each(|line| writer.write_line(line).unwrap());
    writer.finish().unwrap()
}

fn read(stream: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut reader = LineReader::new(Cursor::new(stream))?;
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line()? {
        lines.push(line.to_vec());
    }
    Ok(lines)
}

fn refused(stream: &[u8]) {
    assert!(matches!(read(stream), Err(Error::Damaged(_))));
}

#[test]
fn the_longest_line_comes_back_and_a_longer_one_is_refused_on_both_sides() {
    let lines = vec![vec![b'x'; LINE_MAX], Vec::new(), b"after".to_vec(), vec![b'y'; LINE_MAX]];
    assert_eq!(read(&written(&lines)).unwrap(), lines);
    let mut writer = LineWriter::new(Vec::new(), 3).unwrap();
    assert!(matches!(writer.write_line(&vec![b'x'; LINE_MAX + 1]), Err(Error::TooLarge { .. })));
    assert!(writer.write_line(b"a\nb").is_err());
    refused(&zstd::bulk::compress(&[vec![b'x'; LINE_MAX + 1], b"\n".to_vec()].concat(), 3).unwrap());
    refused(&zstd::bulk::compress(&vec![b'x'; 50 << 20], 3).unwrap());
}

#[test]
fn a_stream_that_is_cut_short_is_refused_wherever_it_is_cut() {
    let stream =
        written(&(0..2000).map(|number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string().into_bytes()).collect::<Vec<_>>());
    for length in (0..stream.len()).step_by(7).chain([stream.len() - 1]) {
        refused(&stream[..length]);
    }
}

#[test]
fn a_stream_whose_writer_was_not_finished_is_refused() {
    let mut kept = Vec::new();
    let mut writer = LineWriter::new(&mut kept, 3).unwrap();
    (0..100_000).for_each(|number| writer.write_line(format!("line {number}").as_bytes()).unwrap());
    drop(writer);
    refused(&kept);
}

#[test]
fn flipped_bits_are_found() {
    let lines: Vec<Vec<u8>> = (0..500).map(|number| format!("line {number} of them").into_bytes()).collect();
    let stream = written(&lines);
    for at in (0..stream.len()).flat_map(|byte| [byte * 8, byte * 8 + 5]) {
        let mut flipped = stream.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        // A flip that changes no line (such as a larger window) is no damage.
        if let Ok(read) = read(&flipped) {
            assert!(read == lines, "bit {at}");
        }
    }
}

#[test]
fn an_end_inside_a_line_is_refused() {
    refused(&zstd::bulk::compress(b"whole\nhalf", 3).unwrap());
    refused(b"not zstd at all, but long enough to look at");
}

#[test]
fn a_window_above_the_limit_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.set_parameter(CParameter::WindowLog(24)).unwrap();
    (0..3_000_000u32).for_each(|number| encoder.write_all(&[number as u8, b'\n']).unwrap());
    refused(&encoder.finish().unwrap());
}

#[test]
fn a_disk_that_fails_is_not_called_damage() {
    struct Failing;
    impl std::io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    assert!(matches!(LineReader::new(std::io::BufReader::new(Failing)), Err(Error::Io { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn lines_come_back(lines in prop::collection::vec(prop::collection::vec(any::<u8>().prop_filter("no newline", |byte| *byte != b'\n'), 0..300), 0..50)) {
        prop_assert_eq!(read(&written(&lines)).unwrap(), lines);
    }
}
