//! A connection that speaks CQL, and what it gives as text that can be compared.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use scylla::client::PoolSize;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::deserialize::{DeserializationError, TypeCheckError};
use scylla::frame::response::result::ColumnSpec;
use scylla::policies::host_filter::AllowListHostFilter;
use scylla::statement::{Consistency, Statement};
use scylla::value::{CqlValue, Row};
use tokio::runtime::Runtime;

use super::Cassandra;
use super::spec::ADMINISTRATOR;

/// How long a server that listens may go on refusing: it makes the administrator's account a moment after it listens.
const LOGIN: Duration = Duration::from_secs(30);

/// A connection.
pub struct Cql {
    session: Session,
    runtime: Runtime,
    /// How many replicas must have answered, where there are several.
    consistency: Consistency,
}

impl Cql {
    /// A connection as the administrator.
    pub(super) fn connect(server: &Cassandra) -> Self {
        let since = Instant::now();
        loop {
            match Self::connect_as(server, ADMINISTRATOR) {
                Ok(connection) => return connection,
                Err(error) => assert!(since.elapsed() < LOGIN, "no connection to {}: {error}", server.cql_address()),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// One as this account, by its name and password, which a server asks for or does not.
    pub(super) fn connect_as(server: &Cassandra, account: [&str; 2]) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let session = runtime.block_on(builder(server, account).build()).map_err(|error| format!("{error:?}"))?;
        Ok(Self { session, runtime, consistency: Consistency::LocalQuorum })
    }

    /// The same, and one replica that answers is enough: for a node whose peers are down.
    pub fn of_one_replica(self) -> Self {
        Self { consistency: Consistency::One, ..self }
    }

    fn ask<T>(&self, question: impl Future<Output = T>) -> T {
        self.runtime.block_on(question)
    }

    /// Carries a statement out.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn run(&self, statement: &str) {
        self.rows(statement);
    }

    /// What a statement gives, all pages of it.
    pub fn rows(&self, statement: &str) -> Vec<Vec<Option<CqlValue>>> {
        self.try_rows(statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// The same, or what the server says against it.
    pub fn try_rows(&self, statement: &str) -> Result<Vec<Vec<Option<CqlValue>>>, String> {
        let mut statement = Statement::new(statement);
        statement.set_consistency(self.consistency);
        let result = self.ask(self.session.query_unpaged(statement, ())).map_err(|error| error.to_string())?;
        if !result.is_rows() {
            return Ok(Vec::new());
        }
        let rows = result.into_rows_result().map_err(|error| error.to_string())?;
        let rows = rows.rows::<Row>().map_err(|error| error.to_string())?;
        rows.map(|row| row.map(|row| row.columns).map_err(|error| error.to_string())).collect()
    }

    /// What a question gives, as the bytes of the protocol.
    pub(super) fn raw(&self, question: &str) -> Vec<Raw> {
        let result = self.ask(self.session.query_unpaged(question, ())).unwrap_or_else(|error| panic!("{question}: {error}"));
        let rows = result.into_rows_result().unwrap();
        rows.rows::<Raw>().unwrap().map(Result::unwrap).collect()
    }

    /// The names of the columns that a question gives.
    pub fn columns(&self, question: &str) -> Vec<String> {
        let result = self.ask(self.session.query_unpaged(question, ())).unwrap_or_else(|error| panic!("{question}: {error}"));
        result.into_rows_result().unwrap().column_specs().iter().map(|column| column.name().to_owned()).collect()
    }

    /// What a question gives as lines, with ` | ` between the columns.
    pub fn lines(&self, question: &str) -> Vec<String> {
        let text = |value: &Option<CqlValue>| value.as_ref().map_or_else(|| "null".into(), plain);
        self.rows(question).iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" | ")).collect()
    }

    /// What makes a keyspace, with the ids of its tables. When a column was dropped is told in milliseconds: a server knows microseconds, which are
    /// not nought where it was told two things in one millisecond, until it is started again.
    pub fn described(&self, keyspace: &str) -> Vec<String> {
        let question = format!("DESCRIBE KEYSPACE {} WITH INTERNALS", quoted(keyspace));
        let text = self.rows(&question).into_iter().map(|row| row.last().unwrap().as_ref().map(plain).unwrap());
        text.map(in_milliseconds).collect()
    }
}

/// A definition in which the last three digits of times are nought.
fn in_milliseconds(mut text: String) -> String {
    const BEFORE: &str = "USING TIMESTAMP ";
    let begin: Vec<usize> = text.match_indices(BEFORE).map(|(at, _)| at + BEFORE.len()).collect();
    for at in begin {
        let end = text[at..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |digits| at + digits);
        text.replace_range(end - 3..end, "000");
    }
    text
}

/// A row as the bytes of the protocol: the library has no word for a list that holds nothing in some places.
pub(super) struct Raw(pub(super) Vec<Option<Vec<u8>>>);

impl<'frame, 'metadata> DeserializeRow<'frame, 'metadata> for Raw {
    fn type_check(_: &[ColumnSpec<'_>]) -> Result<(), TypeCheckError> {
        Ok(())
    }

    fn deserialize(row: ColumnIterator<'frame, 'metadata>) -> Result<Self, DeserializationError> {
        row.map(|column| Ok(column?.slice.map(|slice| slice.as_slice().to_vec()))).collect::<Result<_, _>>().map(Self)
    }
}

/// A name as CQL takes it, whatever stands in it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Texts as they are, everything else as CQL writes it.
pub fn plain(value: &CqlValue) -> String {
    match value {
        CqlValue::Text(text) | CqlValue::Ascii(text) => text.clone(),
        other => other.to_string(),
    }
}

fn builder(server: &Cassandra, [name, password]: [&str; 2]) -> SessionBuilder {
    let mut builder = SessionBuilder::new().known_node_addr(server.cql_address()).fetch_schema_metadata(false);
    // This server is meant, and what it says alone, where it is one of several.
    builder = builder.host_filter(Arc::new(AllowListHostFilter::new([server.cql_address()]).unwrap()));
    builder = builder.pool_size(PoolSize::PerHost(std::num::NonZeroUsize::MIN)).disallow_shard_aware_port(true);
    // One node agrees with itself.
    builder = builder.auto_await_schema_agreement(false).driver_config_reporting(false);
    builder = builder.user(name, password);
    if server.spec.tls {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(server.ca_file()).unwrap()).unwrap();
        let settings = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        builder = builder.tls_context(Some(Arc::new(settings)));
    }
    builder
}
