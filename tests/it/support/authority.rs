//! A certificate authority of the tests' own, made anew for each run.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

/// Writes `ca.pem`, and a certificate for 127.0.0.1 with its key as `public.crt` and `private.key`, into a folder.
pub fn issue(folder: &Path) {
    issue_for(folder, Ipv4Addr::LOCALHOST);
}

/// The same for another address.
pub fn issue_for(folder: &Path, address: Ipv4Addr) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    // A name of its own: OpenSSL takes a certificate whose issuer has its own name for one that signs itself.
    ca.distinguished_name.push(DnType::CommonName, "Windlass's tests");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(vec!["localhost".into()]).unwrap();
    server.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(address)));
    let certificate = server.signed_by(&key, &issuer).unwrap();

    fs::write(folder.join("ca.pem"), ca_certificate.pem()).unwrap();
    fs::write(folder.join("public.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("private.key"), key.serialize_pem()).unwrap();
}
