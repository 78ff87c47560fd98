//! Images and containers without an engine: `buildah` builds `deploy/Dockerfile` and runs programs in what came of it.
//!
//! A container is a folder that the program is locked into, with the machine's network and no other limits. What the Dockerfile is built on
//! comes from `tests/servers/bases`; the program is the one under test, where the Dockerfile has it compiled.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::program::Run;
use super::servers::kept::in_cache;

/// The user of Cassandra's own image.
pub const CASSANDRA: u32 = 999;

/// Root's, or by its leave: what it does takes the rights to make devices and to mount.
fn buildah() -> Command {
    let containers = in_cache(Path::new("containers"));
    let mut words = vec!["buildah", "--storage-driver", "vfs", "--root"];
    if !rustix::process::geteuid().is_root() {
        words.splice(0..0, ["sudo", "-n"]);
    }
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(containers.join("storage")).arg("--runroot").arg(containers.join("run"));
    command
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap_or_else(|error| panic!("{:?} cannot be started: {error}; run tests/run", command.get_program()));
    Run::of(output)
}

/// A container of an image, both gone with this value.
pub struct Container {
    id: String,
    image: String,
    /// What the image says of itself: user, health check and the rest.
    pub config: Value,
}

impl Drop for Container {
    fn drop(&mut self) {
        run(buildah().args(["rm", &self.id]));
        run(buildah().args(["rmi", &self.image]));
    }
}

impl Container {
    /// A container of a stage of `deploy/Dockerfile` that has all but the program, as it is built now.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn of_stage(stage: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // Without layers that are kept: each would be a copy of all that there is.
        let mut build = buildah();
        build.args(["bud", "--quiet", "--isolation", "chroot", "--format", "docker", "--pull-never"]);
        build.args(["--target", stage, "--build-arg", "BASE_IMAGE=localhost/windlass-base"]);
        build.args(["--build-arg", "CASSANDRA_IMAGE=localhost/windlass-cassandra-jars"]);
        let built = run(build.arg("--file").arg(root.join("deploy/Dockerfile")).arg(root));
        let image = built.expect(0).stdout.lines().last().unwrap().to_owned();
        let inspected = run(buildah().args(["inspect", "--type", "image", &image]));
        let config = inspected.expect(0).document()["Docker"]["config"].clone();
        let made = run(buildah().args(["from", "--pull-never", &image]));
        Self { id: made.expect(0).stdout.trim().to_owned(), image, config }
    }

    /// Puts the program where the last stages of the Dockerfile put it. Without what a debugger reads, as there.
    pub fn with_the_program(self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("windlass");
        run(Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_windlass"))).expect(0);
        run(buildah().args(["copy", "--quiet", "--chmod", "755", &self.id]).arg(program).arg("/usr/local/bin/windlass")).expect(0);
        self
    }

    /// What is in it, MiB.
    pub fn size_mib(&self) -> u64 {
        let size = run(buildah().args(["run", "--isolation", "chroot", "--user", "0", &self.id, "--", "du", "-smx", "/"]));
        size.expect(0).stdout.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Runs words in it as a user, with what is mounted (`FROM:TO`), and without any right of root's.
    pub fn run(&self, user: &str, mounts: &[String], words: &[&str]) -> Run {
        let mut command = buildah();
        command.args(["run", "--isolation", "chroot", "--cap-drop", "ALL", "--user", user]);
        for mount in mounts {
            command.args(["--volume", mount]);
        }
        run(command.args([&self.id, "--"]).args(words))
    }
}
