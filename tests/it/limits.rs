//! Limits of the rate hold, over all requests together, in both directions.

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use bytes::Bytes;
use windlass::repository::{Repository, Request, Settings};
use windlass::sys::environment::FixedEnvironment;
use windlass::sys::secret::Secret;

use crate::support::gcs::Gcs;
use crate::support::servers::azurite::Azurite;
use crate::support::servers::{Make, Server};
use crate::support::tools;
use crate::support::tree::noise;

/// The limit in bytes per second.
const RATE: u64 = 1 << 20;

/// Objects and the bytes of each: 4 MiB in all, so four seconds.
const OBJECTS: u64 = 8;
const SIZE: usize = 512 << 10;

/// How often a machine that is busy with other tests may have been too slow.
const CHANCES: usize = 3;

fn open(settings: &Settings) -> Repository {
    Repository::open(settings, &FixedEnvironment::default(), tools()).unwrap()
}

/// Fails unless 4 MiB take four seconds, give or take a tenth: never less, and not more each time.
fn holds(what: &str, mut moves: impl FnMut()) {
    let expected = (OBJECTS * SIZE as u64) as f64 / RATE as f64;
    let mut took = Vec::new();
    for _ in 0..CHANCES {
        let began = Instant::now();
        moves();
        let seconds = began.elapsed().as_secs_f64();
        println!("{what}: {seconds:.2} s where {expected} s are right");
        assert!(seconds > 0.9 * expected, "{what} took {seconds} s, which is faster than the limit");
        if seconds < 1.1 * expected {
            return;
        }
        took.push(seconds);
    }
    panic!("{what} took {took:?} s, each time slower than the limit");
}

/// Both directions of a repository.
fn both_directions_hold(settings: Settings) {
    let settings = Settings { upload_limit: Some(RATE), download_limit: Some(RATE), ..settings };
    let repository = open(&settings);
    // So that the connections are there.
    repository.create("n/first", Bytes::from_static(b"x")).unwrap();
    let bodies: Vec<Bytes> = (0..OBJECTS).map(|object| Bytes::from(noise(object, SIZE))).collect();
    let mut round = 0;
    holds("upload", || {
        round += 1;
        let mut uploads = repository.uploads(4);
        for (object, body) in bodies.iter().enumerate() {
            uploads.push(format!("n/{round}/{object}"), body.clone(), ()).unwrap();
        }
        uploads.drain().unwrap();
    });
    holds("download", || {
        let mut downloads = repository.downloads(4);
        for object in 0..OBJECTS {
            downloads.request(Request { key: format!("n/{round}/{object}"), range: None, at_most: SIZE as u64 });
        }
        for body in &bodies {
            assert_eq!(downloads.next().unwrap().unwrap(), *body);
        }
    });
}

#[test]
fn the_limits_hold_on_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    both_directions_hold(Settings::new(format!("file://{}", folder.path().display())));
}

#[test]
fn the_limits_hold_on_versitygw() {
    let server = Server::running(Make::Versitygw, false);
    both_directions_hold(server.settings(&server.bucket()));
}

#[test]
fn the_limits_hold_on_minio_over_tls() {
    let server = Server::running(Make::Minio, true);
    both_directions_hold(server.settings(&server.bucket()));
}

#[test]
fn a_store_behaves_under_a_limit_as_it_does_without() {
    let s3 = |make| {
        let server = Server::running(make, true);
        [(); 2].map(|()| server.settings(&server.bucket()))
    };
    let (azurite, google) = (Azurite::running(true), Gcs::running(true));
    let azure = [(); 2].map(|()| azurite.settings(&azurite.container()));
    let google = [(); 2].map(|()| google.settings(&google.bucket()));
    for [settings, limited] in [s3(Make::Versitygw), s3(Make::Minio), azure, google] {
        let limited = Settings { upload_limit: Some(64 << 10), download_limit: Some(64 << 10), ..limited };
        let verdicts = |settings| {
            let probe = open(settings).probe().unwrap();
            serde_json::to_value(&probe).unwrap()
        };
        assert_eq!(verdicts(&settings), verdicts(&limited), "{}", settings.url);
    }
}

#[test]
fn a_body_goes_out_evenly() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings {
        endpoint: Some(format!("http://{}", listener.local_addr().unwrap())),
        allow_http: true,
        access_key_id: Some(Secret::new("key")),
        secret_access_key: Some(Secret::new("secret")),
        upload_limit: Some(RATE),
        ..Settings::new("s3://bucket/prefix")
    };
    let sender = std::thread::spawn(move || open(&settings).create("n/a", Bytes::from(noise(1, 2 << 20))));
    let (mut stream, _) = listener.accept().unwrap();
    let (mut buffer, mut got) = (vec![0; 64 << 10], 0);
    let mut arrived: Vec<(Duration, usize)> = Vec::new();
    let began = Instant::now();
    while got < 2 << 20 {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the body broke off at {got}");
        got += read;
        arrived.push((began.elapsed(), got));
    }
    // What came until each half second, in the order of time.
    for half in 1..4_u32 {
        let until = Duration::from_millis(500) * half;
        let got = arrived.iter().take_while(|(at, _)| *at <= until).last().map_or(0, |(_, got)| *got);
        let right = (RATE as usize / 2) * half as usize;
        assert!(got < right + (200 << 10), "{got} bytes after {until:?}, where {right} are right");
        assert!(got > right / 2, "{got} bytes after {until:?}, where {right} are right");
    }
    drop((stream, listener));
    assert!(sender.join().unwrap().is_err(), "nobody answered");
}
