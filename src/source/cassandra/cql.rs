//! One connection in CQL to this node and no other, with blocking calls that end when the run is stopped.
//!
//! The driver is made for clusters: it is led to this node alone ([`super::one_node`]).

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::{PoolSize, SelfIdentity};
use scylla::deserialize::row::DeserializeRow;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use tokio::runtime::Runtime;

use super::node_config::NodeConfig;
use super::one_node::{OneHost, ThisNode};
use super::settings::{Cql, Settings};
use super::{refused, tls};
use crate::source::Error;
use crate::sys::stop::{Stop, Stopped};

/// How long one connection may take, with TLS and on a node that is collecting garbage.
const CONNECT_TIME: Duration = Duration::from_secs(15);

/// How long opening may take in all: the driver makes two or three connections, and asks for the peers in between.
const OPEN_TIME: Duration = Duration::from_secs(60);

/// How long one statement of ours may take: they ask what the node holds in memory or in small tables.
const STATEMENT_TIME: Duration = Duration::from_secs(120);

/// How often the stop flag is looked at while the node works.
const TICK: Duration = Duration::from_millis(50);

/// Most addresses of one name that are tried: `localhost` has two.
const ADDRESSES_MAX: usize = 4;

/// Rows of one page: a row of `DESCRIBE` has a few KiB.
const PAGE_ROWS: i32 = 500;

/// Most rows that one statement may give, because they are held in memory; a hundred times what a node can bear of tables.
const ROWS_MAX: usize = 200_000;

/// An open connection.
pub(super) struct Connection {
    // Before the runtime, which it needs to end.
    session: Session,
    runtime: Runtime,
    node: String,
    stop: Stop,
}

impl Connection {
    /// Connects, and logs in where the settings name a role.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what to do; [`Error::Stopped`].
    pub(super) fn open(settings: &Settings, config: &NodeConfig, stop: &Stop) -> Result<Self, Error> {
        let (host, port) = cql_place(settings, config)?;
        let node = format!("the {} at {}", settings.make(), told(&host, port));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::file("start a runtime for", &node))?;
        let mut failure = None;
        for address in resolved(&host, port, &node)? {
            let one_host = Arc::new(OneHost::default());
            let builder = builder(settings, &host, address, &node)?.host_filter(one_host.clone());
            let opening = async {
                let session = builder.build().await.map_err(|cause| refused::connecting(&cause))?;
                one_host.settle(&session).await.map(|()| session)
            };
            match within(&runtime, stop, OPEN_TIME, opening)? {
                Some(Ok(session)) => return Ok(Self { session, runtime, node, stop: stop.clone() }),
                Some(Err(why)) => failure = failure.or(Some(why)),
                None => failure = failure.or_else(|| Some(slow(OPEN_TIME))),
            }
        }
        Err(failed("connect to", &node, failure.unwrap_or_else(|| "its name has no address".into())))
    }

    /// The node, for a person.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// All rows of a statement.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what the node says, also above 200,000 rows; [`Error::Stopped`].
    pub(super) fn rows<R>(&self, what: &'static str, cql: &str) -> Result<Vec<R>, Error>
    where
        R: 'static + for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let work = async {
            let mut statement = Statement::new(cql);
            statement.set_page_size(PAGE_ROWS);
            let pager = self.session.query_iter(statement, &[]).await.map_err(|cause| refused::asking(&cause))?;
            let mut stream = pager.rows_stream::<R>().map_err(|cause| format!("its answer is not as expected: {cause}"))?;
            let mut rows = Vec::new();
            while let Some(row) = stream.next().await {
                rows.push(row.map_err(|cause| refused::answering(&cause))?);
                if rows.len() > ROWS_MAX {
                    return Err(format!("its answer has more than {ROWS_MAX} rows"));
                }
            }
            Ok(rows)
        };
        match within(&self.runtime, &self.stop, STATEMENT_TIME, work)? {
            Some(Ok(rows)) => Ok(rows),
            Some(Err(why)) => Err(failed(what, &self.node, why)),
            None => Err(failed(what, &self.node, slow(STATEMENT_TIME))),
        }
    }

    /// Carries out a statement that gives no rows.
    ///
    /// # Errors
    /// [`Error::Cassandra`] with what the node says; [`Error::Stopped`]. What it says after its time is over may still be done.
    pub(super) fn run(&self, what: &'static str, cql: &str) -> Result<(), Error> {
        let work = self.session.query_unpaged(cql, &[]);
        match within(&self.runtime, &self.stop, STATEMENT_TIME, work)? {
            Some(Ok(_)) => Ok(()),
            Some(Err(cause)) => Err(failed(what, &self.node, refused::running(&cause))),
            None => Err(failed(what, &self.node, slow(STATEMENT_TIME))),
        }
    }

    /// Whether a statement gives any row; one that gives none may answer without a table, as `LIST PERMISSIONS` does.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub(super) fn has_rows(&self, what: &'static str, cql: &str) -> Result<bool, Error> {
        let work = self.session.query_unpaged(cql, &[]);
        match within(&self.runtime, &self.stop, STATEMENT_TIME, work)? {
            Some(Ok(result)) => Ok(result.into_rows_result().is_ok_and(|rows| rows.rows_num() > 0)),
            Some(Err(cause)) => Err(failed(what, &self.node, refused::running(&cause))),
            None => Err(failed(what, &self.node, slow(STATEMENT_TIME))),
        }
    }

    /// Waits.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub(super) fn pause(&self, time: Duration) -> Result<(), Error> {
        within(&self.runtime, &self.stop, time, std::future::pending::<()>()).map(drop)
    }

    /// The first row of a statement that gives one.
    ///
    /// # Errors
    /// As [`Connection::rows`]; [`Error::Cassandra`] when there is none.
    pub(super) fn row<R>(&self, what: &'static str, cql: &str) -> Result<R, Error>
    where
        R: 'static + for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        self.rows(what, cql)?.into_iter().next().ok_or_else(|| failed(what, &self.node, "it gives no row".into()))
    }
}

/// An error of this node.
pub(super) fn failed(what: &'static str, node: &str, why: String) -> Error {
    Error::Cassandra { what, node: node.to_owned(), why }
}

/// Host and port where the node takes CQL.
pub(super) fn cql_place(settings: &Settings, config: &NodeConfig) -> Result<(String, u16), Error> {
    match &settings.cql.address {
        Some(address) => Ok(address.clone()),
        None => config.cql_address(ca_file(&settings.cql).is_some()),
    }
}

/// What the node's certificate must come from, where the connection is encrypted.
fn ca_file(cql: &Cql) -> Option<&Path> {
    cql.ca_file.as_deref().filter(|_| cql.tls != Some(false))
}

/// A host and a port, as they stand in an address.
pub(super) fn told(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn resolved(host: &str, port: u16, node: &str) -> Result<Vec<SocketAddr>, Error> {
    let found = (host, port).to_socket_addrs().map_err(|cause| failed("find", node, format!("its name cannot be resolved: {cause}")))?;
    Ok(found.take(ADDRESSES_MAX).collect())
}

fn builder(settings: &Settings, host: &str, address: SocketAddr, node: &str) -> Result<SessionBuilder, Error> {
    // What is asked for lies on the node itself; of accounts, which lie on several nodes, the nearest that answers has them.
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalOne)
        .request_timeout(Some(STATEMENT_TIME))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build();
    let mut builder = SessionBuilder::new()
        .known_node_addr(address)
        .address_translator(Arc::new(ThisNode(address)))
        .pool_size(PoolSize::PerHost(std::num::NonZeroUsize::MIN))
        .disallow_shard_aware_port(true)
        .fetch_schema_metadata(false)
        .auto_await_schema_agreement(false)
        .driver_config_reporting(false)
        // Under this name `nodetool clientstats` shows it.
        .custom_identity(SelfIdentity::new().with_application_name("windlass"))
        .connection_timeout(CONNECT_TIME)
        .default_execution_profile_handle(profile.into_handle());
    if let (Some(user), Some(password)) = (&settings.cql.user, &settings.cql.password) {
        builder = builder.user(user, password.expose());
    }
    if let Some(ca_file) = ca_file(&settings.cql) {
        builder = builder.tls_context(Some(tls::client_config(ca_file, host, node)?));
    }
    Ok(builder)
}

fn slow(time: Duration) -> String {
    format!("{} within {} seconds", refused::NO_ANSWER, time.as_secs())
}

/// Waits for the node, for the stop flag, or for the time to be over (`None`).
pub(super) fn within<T>(runtime: &Runtime, stop: &Stop, time: Duration, work: impl Future<Output = T>) -> Result<Option<T>, Error> {
    let stopped = async {
        while !stop.is_stopped() {
            tokio::time::sleep(TICK).await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            outcome = tokio::time::timeout(time, work) => Ok(outcome.ok()),
            () = stopped => Err(Stopped.into()),
        }
    })
}
