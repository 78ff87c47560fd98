//! The real program against a cloud: a machine whose repository is a bucket of any kind, with the variables that its runs have.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use windlass::repository::{Object, Repository, Settings};
use windlass::sys::environment::FixedEnvironment;

use super::program::{Machine, Run, finish};
use super::recorder::Recorder;
use super::tools;
use super::tree::noise;

/// A machine, and what must be shown nowhere.
pub struct Cloud {
    pub machine: Machine,
    variables: Vec<(String, String)>,
    secrets: Vec<String>,
    /// Stands for the machine's own service, which is to be asked only where nothing else has a credential.
    pub metadata: Recorder,
}

impl Cloud {
    /// A machine with this text in its section of the repository. The machine's own service gives this answer.
    pub fn new(repository: &str, secrets: &[&str], metadata: &str) -> Self {
        let machine = Machine::new();
        machine.configure(repository, "");
        machine.write("file", noise(1, 100_000));
        let metadata = Recorder::start(&[("GET /", metadata)]);
        let host = metadata.url.strip_prefix("http://").unwrap().to_owned();
        let identity = format!("{}/identity", metadata.url);
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let cloud = Self { machine, variables: Vec::new(), secrets, metadata };
        let home = cloud.machine.path("home").display().to_string();
        cloud.with("HOME", &home).with("GCE_METADATA_HOST", &host).with("IDENTITY_ENDPOINT", &identity).with("IDENTITY_HEADER", "a-right")
    }

    /// The same with a variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file on the machine.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.machine.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.machine.command(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let run = finish(command.spawn().unwrap());
        let said = run.said();
        for secret in &self.secrets {
            assert!(!said.contains(secret.as_str()), "a secret is shown: {said}");
        }
        run
    }

    /// Makes the repository and backs up.
    pub fn backs_up(&self) {
        self.run(&["init"]).expect(0);
        self.run(&["backup", "tree"]).expect(0);
    }

    /// As [`Cloud::backs_up`], without a question to the machine's own service.
    pub fn backs_up_by_itself(&self) {
        self.backs_up();
        assert_eq!(self.metadata.requests(), Vec::<String>::new(), "nobody asked the machine");
    }

    /// All that a repository is for, in a row; the settings reach the same repository.
    pub fn does_everything(&self, settings: &Settings) {
        self.backs_up_by_itself();
        let list = || self.run(&["--json", "list"]).expect(0).document()["snapshots"].as_array().unwrap().clone();
        let first = list()[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(list()[0]["where"], "both");
        self.run(&["verify", "--full"]).expect(0);

        // The second shares nothing with the first, whose packs go with it.
        self.machine.write("file", noise(2, 100_000));
        self.run(&["backup", "tree"]).expect(0);
        self.run(&["forget", &format!("tree/{first}"), "--yes"]).expect(0);
        let prune = self.run(&["prune", "--yes"]);
        prune.expect(0);
        assert_eq!(list().len(), 1, "{prune:#?}");
        self.run(&["verify", "--full"]).expect(0);

        let repository = Repository::open(settings, &FixedEnvironment::default(), tools()).unwrap();
        let mut pack = String::new();
        let mut first = |object: Object| {
            pack = object.key;
            ControlFlow::Break(())
        };
        repository.list("node-1/packs/", &mut first).unwrap();
        repository.delete(&pack).unwrap();
        self.run(&["verify"]).expect(4);
        self.run(&["heal"]).expect(0);
        self.run(&["verify", "--full"]).expect(0);

        // As on another machine, which has nothing but the repository.
        fs::remove_dir_all(self.machine.path("local")).unwrap();
        let target = self.machine.path("fetched").display().to_string();
        self.run(&["--json", "fetch", "tree/latest", "--to", &target]).expect(0);
        assert_eq!(fs::read(self.machine.path("fetched/file")).unwrap(), noise(2, 100_000));
        assert_eq!(self.metadata.requests(), Vec::<String>::new());
    }
}
