//! The units of systemd under `deploy/`: systemd understands every line of them, and finds little that they leave open.
//!
//! systemd itself runs on no machine that only builds, so whether the agent works under the filter of system calls is not proven here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Most of what `systemd-analyze security` may call exposed, in tenths, of a hundred: it counts that the agent is root, reaches the network and reads
/// files of every user, which is its work.
const EXPOSURE_MAX: &str = "30";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// The units, as their text is.
fn units() -> Vec<(String, String)> {
    let files = fs::read_dir(deploy()).unwrap().map(|entry| entry.unwrap().path());
    let is_unit = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "service" || ending == "timer");
    let mut units: Vec<_> = files
        .filter(is_unit)
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    units.sort();
    assert_eq!(
        units.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["windlass-agent.service", "windlass.service", "windlass.timer"]
    );
    units
}

/// Runs `systemd-analyze`, which comes with the package systemd.
fn analyze(arguments: &[&str], unit: &Path) -> Output {
    let run = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    run.expect("the tests need systemd-analyze: install the package systemd")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn systemd_has_nothing_to_say_against_any_unit() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in units() {
        // The program lies where the tests have built it.
        fs::write(folder.path().join(name), text.replace("/usr/local/bin/windlass", env!("CARGO_BIN_EXE_windlass"))).unwrap();
    }
    for (name, _) in units() {
        let verified = analyze(&["verify", "--man=no"], &folder.path().join(&name));
        assert!(verified.status.success() && said(&verified).is_empty(), "{name}: {}", said(&verified));
    }
    // And it would say so.
    let broken = folder.path().join("broken.service");
    fs::write(&broken, "[Service]\nExecStart=/bin/true\nProtectSistem=full\n").unwrap();
    assert!(said(&analyze(&["verify", "--man=no"], &broken)).contains("ProtectSistem"));
}

#[test]
fn no_unit_leaves_more_open_than_its_work_needs() {
    for (name, _) in units().into_iter().filter(|(name, _)| name.ends_with(".service")) {
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let judged = analyze(&["security", "--offline=yes", "--no-pager", &threshold], &deploy().join(&name));
        assert!(judged.status.success(), "{name}: {}", said(&judged));
    }
}

#[test]
fn the_agents_unit_waits_longer_for_a_stop_than_the_agent_takes_and_both_services_may_do_the_same() {
    let units = units();
    let value = |unit: usize, key: &str| {
        let lines = units[unit].1.lines().filter_map(|line| line.strip_prefix(&format!("{key}=")));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((value(0, "Type"), value(0, "ExecReload")), (vec!["notify".to_owned()], vec!["/bin/kill -HUP $MAINPID".to_owned()]));
    let patience: u64 = value(0, "TimeoutStopSec")[0].parse().unwrap();
    assert!(patience > 60, "the agent takes up to a minute");
    let hardening = |unit: usize| {
        let begins = ["Protect", "Private", "Restrict", "SystemCall", "Capability", "NoNew", "Lock", "Keyring", "UMask"];
        let lines = units[unit].1.lines().filter(|line| begins.iter().any(|begin| line.starts_with(begin)));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(hardening(0).len() > 20, "{:?}", hardening(0));
    assert_eq!(hardening(0), hardening(1));
}
