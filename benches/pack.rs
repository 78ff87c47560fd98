//! How fast one file is cut and packed: `cargo bench --bench pack -- FILE [THREADS] [LEVEL]`.
//!
//! Prints MiB of plain bytes per second of each step, the size that was stored, and the peak of resident memory.
//! Compare with `zstd -T2 -3 -c FILE | wc -c` in the same minute: shared machines drift.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use windlass::archive::{Cutter, FrameGatherer, Member, Method, PackPlan, PackSettings, Recipients, SealedPack, Supply, check_pack, pack};
use windlass::format::entry::Piece;
use windlass::format::path::RelPath;
use windlass::sys::clock::{Clock, SystemClock};
use windlass::sys::meter::Meter;
use windlass::sys::random::SystemRandom;
use windlass::sys::stop::Stop;

/// What is read at a time while the file is cut.
const READ: usize = 256 << 10;

struct OneFile(File);

impl Supply for OneFile {
    fn read(&self, member: &Member, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(bytes, member.offset)
    }
}

struct Plan {
    members: std::vec::IntoIter<Member>,
    gatherer: Option<FrameGatherer>,
    /// The newest pack, kept as an uploader would keep it.
    last: Option<SealedPack>,
    stored: usize,
    packs: usize,
}

impl PackPlan for Plan {
    type Error = windlass::archive::Error;

    fn next_frame(&mut self) -> Result<Option<Vec<Member>>, Self::Error> {
        let Some(gatherer) = &mut self.gatherer else { return Ok(None) };
        let full = self.members.find_map(|member| gatherer.push(member));
        Ok(full.or_else(|| self.gatherer.take()?.finish()))
    }

    fn sealed(&mut self, pack: SealedPack) -> Result<(), Self::Error> {
        self.stored += pack.bytes.len();
        self.packs += 1;
        self.last = Some(pack);
        Ok(())
    }
}

fn cut(path: &str, method: Method) -> io::Result<Vec<Member>> {
    let mut file = File::open(path)?;
    let mut members = Vec::new();
    let mut offset = 0;
    let mut emit = |piece: Piece| {
        if let Piece::Blob { digest, length, .. } = piece {
            members.push(Member { path: RelPath::root(), offset, length, digest });
        }
        offset += piece.length();
    };
    let mut cutter = Cutter::new(method, file.metadata()?.len());
    let mut buffer = vec![0; READ];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => cutter.push(&buffer[..length], &mut emit),
        }
    }
    cutter.finish(&mut emit);
    Ok(members)
}

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`; without a file there is nothing to measure.
    let given: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let Some(path) = given.first() else {
        println!("usage: cargo bench --bench pack -- FILE [THREADS] [LEVEL]");
        return Ok(());
    };
    let number = |at: usize, otherwise: i32| given.get(at).map_or(Ok(otherwise), |word| word.parse());
    let (threads, level) = (usize::try_from(number(1, 2)?)?, number(2, 3)?);
    let size = std::fs::metadata(path)?.len() as f64 / f64::from(1 << 20);
    let clock = SystemClock::default();
    let timed = |what: &str, from: std::time::Duration| {
        println!("{what:<28}{:>8.0} MiB/s", size / (clock.monotonic() - from).as_secs_f64());
    };

    io::copy(&mut File::open(path)?, &mut io::sink())?;
    let from = clock.monotonic();
    cut(path, Method::Fixed)?;
    timed("read, cut at 1 MiB, hash", from);
    let from = clock.monotonic();
    let members = cut(path, Method::ContentDefined)?;
    timed("read, cut by content, hash", from);
    let blobs = members.len();

    let settings = PackSettings { level, threads, in_flight: 2 * threads };
    let mut plan = Plan { members: members.into_iter(), gatherer: Some(FrameGatherer::new()), last: None, stored: 0, packs: 0 };
    let from = clock.monotonic();
    pack(&settings, &Recipients::default(), &SystemRandom, &Stop::default(), &Meter::default(), &OneFile(File::open(path)?), &mut plan)?;
    timed(&format!("pack, level {level}, {threads} threads"), from);

    if let Some(last) = &plan.last {
        let from = clock.monotonic();
        check_pack(&last.bytes, &mut |_, _, _, _| {})?;
        let seconds = (clock.monotonic() - from).as_secs_f64();
        println!("{:<28}{:>8.0} MiB/s", "check a pack, one thread", last.plain_bytes as f64 / f64::from(1 << 20) / seconds);
    }
    let stored = plan.stored as f64 / f64::from(1 << 20);
    println!("{size:.0} MiB in {blobs} blobs became {stored:.1} MiB in {} packs", plan.packs);
    let status = std::fs::read_to_string("/proc/self/status")?;
    println!(
        "{}; the settings allow for {} MiB",
        status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("?"),
        settings.memory() >> 20
    );
    Ok(())
}
