//! The ways in which AWS programs come by a credential, each driven by the real program against a real store whose key it hands out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::program::{Machine, Run, finish};
use crate::support::recorder::Recorder;
use crate::support::servers::{ACCESS_KEY, Make, REGION, SECRET_KEY, Server};
use crate::support::session::Session;
use crate::support::tree::noise;

/// A machine whose repository is a bucket of a real store, and the variables that its runs have.
struct Node {
    machine: Machine,
    bucket: String,
    variables: Vec<(String, String)>,
    /// A credential of the store that ends, which the services of the tests hand out.
    session: Session,
    /// Stands for the service of a cloud machine, which is to be asked only where nothing else has a credential.
    metadata: Recorder,
}

/// The name of the role that the machine has.
const ROLE: &str = "role-of-the-machine";

impl Node {
    /// A node without any credential.
    fn new(keys: &str) -> Self {
        let (server, machine) = (Server::running(Make::Minio, false), Machine::new());
        let (bucket, session) = (server.bucket(), Session::begin(server));
        let metadata = metadata(&session);
        let node = Self { machine, bucket, variables: Vec::new(), session, metadata };
        node.configure(&format!("endpoint = \"{}\"\nregion = \"{REGION}\"\nallow_http = true\n{keys}", server.endpoint));
        node.machine.write("file", noise(1, 100_000));
        let (home, metadata) = (node.file("home", ""), node.metadata.url.clone());
        fs::remove_file(&home).unwrap();
        fs::create_dir(&home).unwrap();
        node.with("HOME", &home.display().to_string()).with("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata)
    }

    fn configure(&self, repository: &str) {
        self.machine.configure(&format!("url = \"s3://{}/some/prefix\"\n{repository}", self.bucket), "");
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file on the machine.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.machine.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Gives it these AWS files.
    fn with_files(self, config: &str, credentials: &str) -> Self {
        let (config, credentials) = (self.file("aws-config", config), self.file("aws-credentials", credentials));
        let (config, credentials) = (config.display().to_string(), credentials.display().to_string());
        self.with("AWS_CONFIG_FILE", &config).with("AWS_SHARED_CREDENTIALS_FILE", &credentials)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.machine.command(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let run = finish(command.spawn().unwrap());
        let said = run.said();
        for secret in [SECRET_KEY, &self.session.secret, &self.session.token] {
            assert!(!said.contains(secret), "{run:?}");
        }
        run
    }

    /// Makes the repository and backs up, which takes some dozen requests.
    fn backs_up(&self) {
        self.run(&["init"]).expect(0);
        self.run(&["backup", "tree"]).expect(0);
    }

    /// As [`Node::backs_up`], without a question to the machine's service.
    fn backs_up_by_itself(&self) {
        self.backs_up();
        assert_eq!(self.metadata.requests(), Vec::<String>::new(), "nobody asked the machine");
    }
}

/// The service of a machine that has a role.
fn metadata(session: &Session) -> Recorder {
    Recorder::start(&[
        ("PUT /latest/api/token ", "a-token"),
        (&format!("GET /latest/meta-data/iam/security-credentials/{ROLE} "), &refreshable(session)),
        ("GET /latest/meta-data/iam/security-credentials/ ", ROLE),
        ("GET /latest/meta-data/placement/region ", "eu-test-7"),
    ])
}

/// A credential as the services of machines and containers write it.
fn refreshable(Session { id, secret, token, ends }: &Session) -> String {
    format!(
        "{{\"Code\": \"Success\", \"Type\": \"AWS-HMAC\", \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{secret}\", \
         \"Token\": \"{token}\", \"Expiration\": \"{ends}\", \"LastUpdated\": \"2026-01-01T00:00:00Z\"}}"
    )
}

fn keys() -> String {
    format!("aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n")
}

#[test]
fn a_key_in_the_configuration_goes_before_all_else() {
    let node = Node::new(&format!("access_key_id = \"{ACCESS_KEY}\"\nsecret_access_key = \"{SECRET_KEY}\""));
    node.with("AWS_ACCESS_KEY_ID", "nobody").with("AWS_SECRET_ACCESS_KEY", "hunter2").backs_up_by_itself();
}

#[test]
fn a_key_in_the_environment_goes_before_the_profile() {
    let node = Node::new("").with_files("", "[default]\naws_access_key_id = nobody\naws_secret_access_key = hunter2\n");
    node.with("AWS_ACCESS_KEY_ID", ACCESS_KEY).with("AWS_SECRET_ACCESS_KEY", SECRET_KEY).backs_up_by_itself();
}

#[test]
fn a_profile_is_read_from_the_files_of_the_aws_tools() {
    Node::new("").with_files("", &format!("[default]\n{}", keys())).backs_up_by_itself();
    let others = "[default]\naws_access_key_id = nobody\naws_secret_access_key = hunter2\n[backup]\n";
    Node::new("").with_files("", &format!("{others}{}", keys())).with("AWS_PROFILE", "backup").backs_up_by_itself();
}

#[test]
fn a_profile_in_the_configuration_is_the_only_place() {
    let node = Node::new("profile = \"backup\"").with("AWS_ACCESS_KEY_ID", "nobody").with("AWS_SECRET_ACCESS_KEY", "hunter2");
    node.with_files("", &format!("[backup]\n{}", keys())).backs_up_by_itself();
    let node = Node::new("profile = \"absent\"").with("AWS_ACCESS_KEY_ID", ACCESS_KEY).with("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    let node = node.with_files("", &format!("[backup]\n{}", keys()));
    let run = node.run(&["init"]);
    assert!(run.code != Some(0) && run.said().contains("profile absent: "), "{run:#?}");
    assert_eq!(node.metadata.requests(), Vec::<String>::new());
}

#[test]
fn a_program_is_asked_once_for_all_requests() {
    let node = Node::new("");
    let (calls, program) = (node.machine.path("calls"), node.machine.path("program"));
    let answer = format!("{{\"Version\": 1, \"AccessKeyId\": \"{ACCESS_KEY}\", \"SecretAccessKey\": \"{SECRET_KEY}\"}}");
    fs::write(&program, format!("#!/bin/sh\necho called >>{}\necho '{answer}'\n", calls.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let node = node.with_files(&format!("[default]\ncredential_process = {}\n", program.display()), "");
    node.backs_up_by_itself();
    assert_eq!(fs::read_to_string(calls).unwrap().lines().count(), 2, "two runs");

    fs::write(&program, "#!/bin/sh\necho the vault is sealed >&2\nexit 3\n").unwrap();
    let run = node.run(&["init"]);
    assert!(run.code != Some(0) && run.said().contains("the vault is sealed"), "{run:#?}");
}

#[test]
fn a_web_identity_is_exchanged() {
    let node = Node::new("");
    let Session { id, secret, token, ends } = &node.session;
    let answer = format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
         <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{ends}</Expiration></Credentials>\
         <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/backup/x</Arn><AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    let service = Recorder::start(&[("POST / ", &answer)]);
    let token = node.file("token", "an-identity-token").display().to_string();
    let node = node.with("AWS_WEB_IDENTITY_TOKEN_FILE", &token).with("AWS_ROLE_ARN", "arn:aws:iam::1:role/backup");
    let node = node.with("AWS_ENDPOINT_URL_STS", &service.url).with_files("", "");
    node.backs_up_by_itself();
    assert_eq!(service.count("POST / "), 2, "once in each of two runs");
    assert!(service.requests().iter().all(|request| request.contains("WebIdentityToken=an-identity-token")), "{:?}", service.requests());
}

#[test]
fn a_log_in_by_sso_is_used() {
    let node = Node::new("");
    let Session { id, secret, token, ends } = &node.session;
    let answer = format!(
        "{{\"roleCredentials\": {{\"accessKeyId\": \"{id}\", \"secretAccessKey\": \"{secret}\", \
         \"sessionToken\": \"{token}\", \"expiration\": {}}}}}",
        ends.as_millisecond()
    );
    let service = Recorder::start(&[("GET /federation/credentials?", &answer)]);
    let session = "[sso-session windlass]\nsso_region = us-east-1\nsso_start_url = https://d-1.awsapps.com/start\n";
    let profile = "[default]\nsso_session = windlass\nsso_account_id = 123456789012\nsso_role_name = backup\n";
    let node = node.with_files(&format!("{session}{profile}"), "").with("AWS_ENDPOINT_URL_SSO", &service.url);
    // The file that `aws sso login` leaves; its name is the SHA-1 of the session's.
    let token = "{\"accessToken\": \"a-log-in\", \"expiresAt\": \"2099-01-01T00:00:00Z\", \"region\": \"us-east-1\"}";
    node.file("home/.aws/sso/cache/f36c8fdf3aaa6755e5c4882a6563eb39368fd577.json", token);
    node.backs_up_by_itself();
    assert_eq!(service.count("account_id=123456789012"), 2, "once in each of two runs");
    assert!(service.requests()[0].to_lowercase().contains("x-amz-sso_bearer_token: a-log-in"));
}

#[test]
fn the_service_of_a_container_is_asked() {
    let node = Node::new("");
    let service = Recorder::start(&[("GET /credentials ", &refreshable(&node.session))]);
    let node = node.with("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/credentials", service.url));
    node.with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a-right").backs_up_by_itself();
    assert_eq!(service.count("GET /credentials "), 2, "once in each of two runs");
    assert!(service.requests().iter().all(|request| request.to_lowercase().contains("authorization: a-right")));
}

#[test]
fn the_service_of_the_machine_is_asked_last() {
    let node = Node::new("").with_files("", "");
    node.backs_up();
    assert_eq!(node.metadata.count(ROLE), 2, "once in each of two runs: {:?}", node.metadata.requests());
    assert!(node.metadata.requests().iter().any(|request| request.contains("x-aws-ec2-metadata-token: a-token")));
}

#[test]
fn without_a_credential_all_that_was_tried_is_told() {
    let node = Node::new("").with("AWS_EC2_METADATA_DISABLED", "true").with_files("", "");
    let run = node.run(&["init"]);
    assert_ne!(run.code, Some(0));
    for tried in ["access_key_id", "AWS_ACCESS_KEY_ID", "profile (AWS_PROFILE): ", "web identity: ", "container: ", "machine (EC2): "] {
        assert!(run.stderr.contains(tried), "{tried}: {}", run.stderr);
    }
    assert_eq!(node.metadata.requests(), Vec::<String>::new());
}

#[test]
fn the_region_comes_from_the_profile_and_else_from_the_machine() {
    // A store that notes which region a request is signed for, and has nothing.
    let store = Recorder::start(&[]);
    let node = Node::new("").with_files("[default]\nregion = eu-test-5\n", &format!("[default]\n{}", keys()));
    node.configure(&format!("endpoint = \"{}\"\nallow_http = true", store.url));
    node.run(&["list"]);
    assert!(store.requests()[0].contains("/eu-test-5/s3/aws4_request"), "{:?}", store.requests());
    assert_eq!(node.metadata.requests(), Vec::<String>::new());

    // Without an endpoint it is AWS, which this recorder stands before as a proxy.
    let proxy = Recorder::start(&[]);
    let node = Node::new("").with_files("", &format!("[default]\n{}", keys()));
    node.configure("");
    let node = node.with("HTTPS_PROXY", &proxy.url).with("NO_PROXY", "127.0.0.1");
    node.run(&["list"]);
    assert!(proxy.count("CONNECT s3.eu-test-7.amazonaws.com:443 ") > 0, "{:?}", proxy.requests());
}
